package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/mvcc/mvccpb"
	grpcresolver "google.golang.org/grpc/resolver"
)

// A reader finds the addresses of a service the way a project does that has a client of its own.
type reader struct {
	// target is what the project's client dials; grpc-go makes the authority of it.
	target string
	// prefix is what is listed.
	prefix string
	// read gives the addresses of a record. An error fails the whole list.
	read func(pair *mvccpb.KeyValue) ([]string, error)
}

func readerOf(s settings) (reader, bool) {
	switch s.way {
	case "gozero":
		prefix := s.root + s.service + "/"
		return reader{"etcd:///" + s.etcd + "," + s.etcd, prefix, func(pair *mvccpb.KeyValue) ([]string, error) {
			return []string{string(pair.Value)}, nil
		}}, true
	case "kratos":
		// Without a slash at the end, so records of services whose names begin alike have to be readable too.
		prefix := or(s.root, "/microservices") + "/" + s.service
		return reader{"discovery:///" + s.service, prefix, func(pair *mvccpb.KeyValue) ([]string, error) { return readKratos(s, pair) }}, true
	case "kitex":
		prefix := or(s.root, "kitex/registry-etcd") + "/" + s.service + "/"
		return reader{"kitex:///" + s.service, prefix, readKitex}, true
	case "openim3":
		// The key's last segment is the address; the value is not looked at.
		prefix := or(s.root, "openim") + "/" + s.service + "/"
		return reader{"etcd:///" + prefix, prefix, func(pair *mvccpb.KeyValue) ([]string, error) {
			key := string(pair.Key)
			return []string{key[strings.LastIndex(key, "/")+1:]}, nil
		}}, true
	default:
		return reader{}, false
	}
}

func readKratos(s settings, pair *mvccpb.KeyValue) ([]string, error) {
	var record struct {
		ID        string            `json:"id"`
		Name      string            `json:"name"`
		Version   string            `json:"version"`
		Metadata  map[string]string `json:"metadata"`
		Endpoints []string          `json:"endpoints"`
	}
	if err := json.Unmarshal(pair.Value, &record); err != nil || record.Name != s.service {
		return nil, err
	}
	for _, endpoint := range record.Endpoints {
		address, err := url.Parse(endpoint)
		if err != nil {
			return nil, err
		}
		if address.Scheme == "grpc" {
			return []string{address.Host}, nil
		}
	}
	return nil, nil
}

func readKitex(pair *mvccpb.KeyValue) ([]string, error) {
	var record struct {
		Network string            `json:"network"`
		Address string            `json:"address"`
		Weight  int               `json:"weight"`
		Tags    map[string]string `json:"tags"`
	}
	if err := json.Unmarshal(pair.Value, &record); err != nil {
		return nil, err
	}
	if record.Weight <= 0 {
		record.Weight = 10
	}
	fmt.Println("weight", record.Weight)
	return []string{record.Address}, nil
}

// pollBuilder is a resolver that lists every now and then, as Kitex does; those who watch see the same a little earlier.
type pollBuilder struct {
	reader
	client     *clientv3.Client
	connection grpcresolver.ClientConn
}

func (b *pollBuilder) Scheme() string { return b.target[:strings.Index(b.target, ":")] }

func (b *pollBuilder) Build(_ grpcresolver.Target, connection grpcresolver.ClientConn, _ grpcresolver.BuildOptions) (grpcresolver.Resolver, error) {
	b.connection = connection
	go func() {
		for {
			if err := b.list(); err != nil {
				fail(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	return b, nil
}

func (b *pollBuilder) ResolveNow(grpcresolver.ResolveNowOptions) {}

func (b *pollBuilder) Close() {}

func (b *pollBuilder) list() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	listed, err := b.client.Get(ctx, b.prefix, clientv3.WithPrefix())
	if err != nil {
		return err
	}
	var addresses []grpcresolver.Address
	for _, pair := range listed.Kvs {
		read, err := b.read(pair)
		if err != nil {
			return fmt.Errorf("%s: %w", pair.Key, err)
		}
		for _, address := range read {
			addresses = append(addresses, grpcresolver.Address{Addr: address})
		}
	}
	b.connection.UpdateState(grpcresolver.State{Addresses: addresses})
	return nil
}
