package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/clientv3/naming/resolver"
	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer/roundrobin"
	grpcresolver "google.golang.org/grpc/resolver"
)

var (
	connections     = map[string]*grpc.ClientConn{}
	connectionsLock sync.Mutex
)

// getConn gives the one connection of a service, which all callers share and none closes.
func getConn(s settings, client *clientv3.Client) (*grpc.ClientConn, error) {
	connectionsLock.Lock()
	defer connectionsLock.Unlock()
	if connection, found := connections[s.service]; found {
		return connection, nil
	}
	connection, err := dial(s, client)
	if err == nil {
		connections[s.service] = connection
	}
	return connection, err
}

func dial(s settings, client *clientv3.Client) (*grpc.ClientConn, error) {
	options := []grpc.DialOption{
		grpc.WithInsecure(),
		grpc.WithDefaultServiceConfig(fmt.Sprintf(`{"LoadBalancingPolicy": %q}`, roundrobin.Name)),
	}
	switch s.way {
	case "openim":
		builder := &pluginBuilder{client: client, schema: or(s.root, "openim"), prefix: openimPrefix(s)}
		return grpc.Dial(openimPrefix(s), append(options, grpc.WithResolvers(builder))...)
	case "naming":
		builder, err := resolver.NewBuilder(client)
		if err != nil {
			return nil, err
		}
		return grpc.Dial("etcd:///"+namingTarget(s), append(options, grpc.WithResolvers(builder))...)
	default:
		found, known := readerOf(s)
		if !known {
			return nil, fmt.Errorf("there is no client for the way %q", s.way)
		}
		builder := &pollBuilder{reader: found, client: client}
		return grpc.Dial(found.target, append(options, grpc.WithResolvers(builder))...)
	}
}

// pluginBuilder is at once the builder and the resolver of one service, as in the plugin: get the prefix, then watch it. Its watch begins
// at no certain revision, puts are known by their value, deletes by the end of their key, and the end of the watch is the end of it all.
type pluginBuilder struct {
	client         *clientv3.Client
	schema, prefix string
	connection     grpcresolver.ClientConn
}

func (b *pluginBuilder) Scheme() string { return b.schema }

func (b *pluginBuilder) Build(_ grpcresolver.Target, connection grpcresolver.ClientConn, _ grpcresolver.BuildOptions) (grpcresolver.Resolver, error) {
	b.connection = connection
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	listed, err := b.client.Get(ctx, b.prefix, clientv3.WithPrefix())
	if err != nil {
		return nil, err
	}
	var addresses []grpcresolver.Address
	for _, pair := range listed.Kvs {
		addresses = append(addresses, grpcresolver.Address{Addr: string(pair.Value)})
	}
	connection.UpdateState(grpcresolver.State{Addresses: addresses})
	go b.watch(addresses)
	return b, nil
}

func (b *pluginBuilder) ResolveNow(grpcresolver.ResolveNowOptions) {}

func (b *pluginBuilder) Close() {}

func (b *pluginBuilder) watch(addresses []grpcresolver.Address) {
	without := func(address string) []grpcresolver.Address {
		var others []grpcresolver.Address
		for _, known := range addresses {
			if known.Addr != address {
				others = append(others, known)
			}
		}
		return others
	}
	for answer := range b.client.Watch(context.Background(), b.prefix, clientv3.WithPrefix()) {
		for _, event := range answer.Events {
			if event.Type == clientv3.EventTypeDelete {
				addresses = without(string(event.Kv.Key)[len(b.prefix):])
			} else {
				addresses = append(without(string(event.Kv.Value)), grpcresolver.Address{Addr: string(event.Kv.Value)})
			}
		}
		b.connection.UpdateState(grpcresolver.State{Addresses: addresses})
	}
}
