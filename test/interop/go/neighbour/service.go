package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// service is interop.v1.Interop. Every answer says in its headers who gave it and which authority it was asked for.
func service(address string) *grpc.ServiceDesc {
	unary := func(name string, answer func(context.Context, *message) (*message, error)) grpc.MethodDesc {
		return grpc.MethodDesc{
			MethodName: name,
			Handler: func(_ interface{}, ctx context.Context, decode func(interface{}) error, _ grpc.UnaryServerInterceptor) (interface{}, error) {
				request := new(message)
				if err := decode(request); err != nil {
					return nil, err
				}
				grpc.SetHeader(ctx, identity(ctx, address))
				return answer(ctx, request)
			},
		}
	}
	stream := func(name string, answer func(*message, grpc.ServerStream) error) grpc.StreamDesc {
		return grpc.StreamDesc{
			StreamName:    name,
			ServerStreams: true,
			Handler: func(_ interface{}, stream grpc.ServerStream) error {
				request := new(message)
				if err := stream.RecvMsg(request); err != nil {
					return err
				}
				stream.SetHeader(identity(stream.Context(), address))
				return answer(request, stream)
			},
		}
	}
	return &grpc.ServiceDesc{
		ServiceName: serviceName,
		HandlerType: (*interface{})(nil),
		Methods: []grpc.MethodDesc{
			unary("Echo", func(_ context.Context, request *message) (*message, error) { return request, nil }),
			unary("Fail", fails),
			unary("EchoMetadata", echoMetadata),
			unary("Wait", wait),
		},
		Streams: []grpc.StreamDesc{stream("Count", count), stream("WaitStream", waitStream)},
	}
}

func identity(ctx context.Context, address string) metadata.MD {
	received, _ := metadata.FromIncomingContext(ctx)
	return metadata.Pairs("served-by", address, "received-authority", strings.Join(received.Get(":authority"), ","))
}

func fails(ctx context.Context, request *message) (*message, error) {
	grpc.SetTrailer(ctx, metadata.Pairs("reason", "asked"))
	failure, err := status.New(codes.Code(request.Number), request.Text).WithDetails(
		&errdetails.ErrorInfo{Reason: "ASKED", Domain: "interop.v1", Metadata: map[string]string{"text": request.Text}})
	if err != nil {
		return nil, err
	}
	return nil, failure.Err()
}

func echoMetadata(ctx context.Context, _ *message) (*message, error) {
	received, _ := metadata.FromIncomingContext(ctx)
	headers, trailers := metadata.MD{}, metadata.MD{}
	number := int32(0)
	for name, values := range received {
		if strings.HasPrefix(name, "echo-") {
			headers[name], trailers["trailer-"+name] = values, values
			number += int32(len(values))
		}
	}
	grpc.SetHeader(ctx, headers)
	grpc.SetTrailer(ctx, trailers)
	return &message{Number: number}, nil
}

func wait(ctx context.Context, request *message) (*message, error) {
	if err := pause(ctx, request.Number); err != nil {
		return nil, err
	}
	return &message{Text: "waited"}, nil
}

func count(request *message, stream grpc.ServerStream) error {
	for i := int32(0); i < request.Number; i++ {
		if err := stream.SendMsg(&message{Text: strconv.Itoa(int(i)), Number: i}); err != nil {
			return err
		}
	}
	stream.SetTrailer(metadata.Pairs("count", strconv.Itoa(int(request.Number))))
	return nil
}

func waitStream(request *message, stream grpc.ServerStream) error {
	if err := stream.SendMsg(&message{Text: "first"}); err != nil {
		return err
	}
	if request.Number <= 0 {
		<-stream.Context().Done()
		return stream.Context().Err()
	}
	if err := pause(stream.Context(), request.Number); err != nil {
		return err
	}
	return stream.SendMsg(&message{Text: "second"})
}

// pause waits for that many milliseconds, or without end if they are negative.
func pause(ctx context.Context, milliseconds int32) error {
	var passed <-chan time.Time
	if milliseconds >= 0 {
		passed = time.After(time.Duration(milliseconds) * time.Millisecond)
	}
	select {
	case <-passed:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}
