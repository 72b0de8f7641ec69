// Calls a greeter by grpc-go with targets as Go programs dial services in etcd: a resolver of the target's scheme finds the instance, and
// what grpc-go sends as :authority it makes of the target itself.
//
//	caller <ip:port> <target>...
//
// Prints a line for each target: the greeting, or "error" and what went wrong.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/resolver"
)

// text is both messages of greet.proto, which have one field.
type text struct {
	Value string `protobuf:"bytes,1,opt,name=value,proto3"`
}

func (t *text) Reset()         { *t = text{} }
func (t *text) String() string { return t.Value }
func (*text) ProtoMessage()    {}

// found is a resolver that has found the one instance already.
type found struct{ scheme, address string }

func (f found) Scheme() string { return f.scheme }

func (f found) Build(_ resolver.Target, client resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	client.UpdateState(resolver.State{Addresses: []resolver.Address{{Addr: f.address}}})
	return f, nil
}

func (found) ResolveNow(resolver.ResolveNowOptions) {}
func (found) Close()                                {}

func call(target string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	connection, err := grpc.DialContext(ctx, target, grpc.WithInsecure(), grpc.WithDefaultServiceConfig(`{"loadBalancingPolicy":"round_robin"}`))
	if err != nil {
		return "", err
	}
	defer connection.Close()
	reply := new(text)
	err = connection.Invoke(ctx, "/helloworld.Greeter/SayHello", &text{Value: "Go"}, reply)
	return reply.Value, err
}

func main() {
	for _, target := range os.Args[2:] {
		resolver.Register(found{scheme: strings.SplitN(target, "://", 2)[0], address: os.Args[1]})
		if greeting, err := call(target); err != nil {
			fmt.Println("error", err)
		} else {
			fmt.Println(greeting)
		}
	}
}
