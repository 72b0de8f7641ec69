// A greeter by grpc-go with its default rules, among them at most one ping without data in five minutes, and the third beyond it closes
// the connection. It sends response headers at once and the greeting after the time that the request's name says, e.g. "80s".
// Prints "listening <port>".
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// text is both messages of greet.proto, which have one field.
type text struct {
	Value string `protobuf:"bytes,1,opt,name=value,proto3"`
}

func (t *text) Reset()         { *t = text{} }
func (t *text) String() string { return t.Value }
func (*text) ProtoMessage()    {}

func sayHello(_ interface{}, ctx context.Context, decode func(interface{}) error, _ grpc.UnaryServerInterceptor) (interface{}, error) {
	request := new(text)
	if err := decode(request); err != nil {
		return nil, err
	}
	silence, err := time.ParseDuration(request.Value)
	if err != nil {
		return nil, err
	}
	if err := grpc.SendHeader(ctx, metadata.MD{}); err != nil {
		return nil, err
	}
	select {
	case <-time.After(silence):
		return &text{Value: "after " + silence.String()}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "helloworld.Greeter",
		HandlerType: (*interface{})(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "SayHello", Handler: sayHello}},
	}, struct{}{})
	fmt.Printf("listening %d\n", listener.Addr().(*net.TCPAddr).Port)
	if err := server.Serve(listener); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
