package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/clientv3/naming/endpoints"
)

// record gives the key and the value of a server. Only go-zero's key has the lease's id in it.
type record func(s settings, address string, lease clientv3.LeaseID) (key, value string)

var records = map[string]record{"openim": openim, "naming": naming, "gozero": gozero, "kratos": kratos, "kitex": kitex}

func openim(s settings, address string, _ clientv3.LeaseID) (string, string) {
	return openimPrefix(s) + address, address
}

// naming is for the key alone: the value is the endpoints manager's own.
func naming(s settings, address string, _ clientv3.LeaseID) (string, string) {
	return namingTarget(s) + "/" + address, ""
}

func gozero(s settings, address string, lease clientv3.LeaseID) (string, string) {
	return fmt.Sprintf("%s%s/%d", s.root, s.service, lease), address
}

func kratos(s settings, address string, _ clientv3.LeaseID) (string, string) {
	id := "id-" + address
	endpoint := "grpc://" + address + "?isSecure=false"
	if s.certificate != "" {
		endpoint = "grpcs://" + address
	}
	return fmt.Sprintf("%s/%s/%s", or(s.root, "/microservices"), s.service, id), asJSON(struct {
		ID        string            `json:"id"`
		Name      string            `json:"name"`
		Version   string            `json:"version"`
		Metadata  map[string]string `json:"metadata"`
		Endpoints []string          `json:"endpoints"`
	}{id, s.service, "v1.2.0", map[string]string{"weight": "100"}, []string{endpoint}})
}

func kitex(s settings, address string, _ clientv3.LeaseID) (string, string) {
	return fmt.Sprintf("%s/%s/%s", or(s.root, "kitex/registry-etcd"), s.service, address), asJSON(struct {
		Network string            `json:"network"`
		Address string            `json:"address"`
		Weight  int               `json:"weight"`
		Tags    map[string]string `json:"tags"`
	}{"tcp", address, 10, nil})
}

// register writes the record under a lease and keeps that alive. The function that it gives undoes it.
func register(s settings, client *clientv3.Client, address string) (deregister func(), err error) {
	key, known := records[s.way]
	if !known {
		return nil, fmt.Errorf("%q is none of the ways openim, naming, gozero, kratos and kitex", s.way)
	}
	ctx, cancel := context.WithCancel(context.Background())
	put := func() (string, error) { return putUnderNewLease(ctx, s, client, key, address) }
	current, err := put()
	if err != nil {
		cancel()
		return nil, err
	}
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		for s.newLease > 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(s.newLease):
			}
			if another, err := put(); err == nil {
				current = another
			}
		}
	}()
	return func() {
		cancel()
		<-renewed
		if s.way == "openim" {
			// The plugin deletes with the context that it has just cancelled: nothing happens, and the key goes with its lease.
			client.Delete(ctx, current)
			return
		}
		client.Delete(context.Background(), current)
	}, nil
}

func putUnderNewLease(ctx context.Context, s settings, client *clientv3.Client, of record, address string) (string, error) {
	lease, err := client.Grant(ctx, s.ttl)
	if err != nil {
		return "", err
	}
	key, value := of(s, address, lease.ID)
	if s.way == "naming" {
		manager, err := endpoints.NewManager(client, namingTarget(s))
		if err != nil {
			return "", err
		}
		endpoint := endpoints.Endpoint{Addr: address, Metadata: struct {
			Weight int
			Zone   string
		}{3, "eu-1a"}}
		if err := manager.AddEndpoint(ctx, key, endpoint, clientv3.WithLease(lease.ID)); err != nil {
			return "", err
		}
	} else if _, err := client.Put(ctx, key, value, clientv3.WithLease(lease.ID)); err != nil {
		return "", err
	}
	keeping := ctx
	if s.newLease > 0 {
		// Kept alive until the next one is there.
		keeping, _ = context.WithTimeout(ctx, s.newLease)
	}
	answers, err := client.KeepAlive(keeping, lease.ID)
	if err != nil {
		return "", err
	}
	go func() {
		for range answers {
		}
	}()
	return key, nil
}

func openimPrefix(s settings) string {
	return fmt.Sprintf("%s:///%s/", or(s.root, "openim"), s.service)
}

func namingTarget(s settings) string { return or(s.root, "services/") + s.service }

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

func asJSON(value interface{}) string {
	text, err := json.Marshal(value)
	if err != nil {
		fail(err)
	}
	return string(text)
}
