package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"time"

	"go.etcd.io/etcd/clientv3"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// What a check waits for at most, the deadlines aside that it sets itself.
const patience = 20 * time.Second

type checking struct {
	name string
	run  func(ctx context.Context, connection *grpc.ClientConn) error
}

var checks = []checking{
	{"unary_call", checkUnary},
	{"server_stream_with_trailers", checkStream},
	{"deadline_of_a_call", checkDeadline},
	{"deadline_that_is_met", checkDeadlineMet},
	{"cancelled_stream", checkCancel},
	{"metadata_both_ways", checkMetadata},
	{"error_with_details", checkErrors},
	{"method_that_is_not_implemented", checkMissing},
}

func check(s settings, client *clientv3.Client) error {
	for _, each := range checks {
		connection, err := getConn(s, client)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err = each.run(ctx, connection)
		cancel()
		if err != nil {
			return fmt.Errorf("%s: %w", each.name, err)
		}
		fmt.Println("ok", each.name)
	}
	return nil
}

func call(ctx context.Context, connection *grpc.ClientConn, name string, request *message, options ...grpc.CallOption) (*message, error) {
	answer := new(message)
	err := connection.Invoke(ctx, method(name), request, answer, options...)
	return answer, err
}

func open(ctx context.Context, connection *grpc.ClientConn, name string, request *message) (grpc.ClientStream, error) {
	stream, err := connection.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method(name))
	if err == nil {
		err = stream.SendMsg(request)
	}
	if err == nil {
		err = stream.CloseSend()
	}
	return stream, err
}

func checkUnary(ctx context.Context, connection *grpc.ClientConn) error {
	request := &message{Text: "grüße", Number: -7, Payload: []byte{0, 255}}
	answer, err := call(ctx, connection, "Echo", request)
	return expect(err, answer, request)
}

func checkStream(ctx context.Context, connection *grpc.ClientConn) error {
	stream, err := open(ctx, connection, "Count", &message{Number: 200})
	if err != nil {
		return err
	}
	received := int32(0)
	for ; ; received++ {
		answer := new(message)
		err := stream.RecvMsg(answer)
		if errors.Is(err, io.EOF) {
			break
		}
		if err := expect(err, answer.Number, received); err != nil {
			return err
		}
	}
	return expect(nil, []interface{}{received, stream.Trailer().Get("count")}, []interface{}{int32(200), []string{"200"}})
}

func checkDeadline(ctx context.Context, connection *grpc.ClientConn) error {
	soon, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	_, err := call(soon, connection, "Wait", &message{Number: -1})
	return expect(nil, status.Code(err), codes.DeadlineExceeded)
}

func checkDeadlineMet(ctx context.Context, connection *grpc.ClientConn) error {
	answer, err := call(ctx, connection, "Wait", &message{Number: 10})
	return expect(err, answer.Text, "waited")
}

func checkCancel(ctx context.Context, connection *grpc.ClientConn) error {
	cancellable, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := open(cancellable, connection, "WaitStream", &message{})
	if err != nil {
		return err
	}
	answer := new(message)
	if err := expect(stream.RecvMsg(answer), answer.Text, "first"); err != nil {
		return err
	}
	cancel()
	return expect(nil, status.Code(stream.RecvMsg(answer)), codes.Canceled)
}

func checkMetadata(ctx context.Context, connection *grpc.ClientConn) error {
	binary := string([]byte{0, 1, 254, 255, 65})
	ctx = metadata.AppendToOutgoingContext(ctx, "echo-text", "some text, with a comma", "echo-bytes-bin", binary)
	var headers, trailers metadata.MD
	answer, err := call(ctx, connection, "EchoMetadata", &message{}, grpc.Header(&headers), grpc.Trailer(&trailers))
	return expect(err,
		[]interface{}{answer.Number, headers.Get("echo-text"), headers.Get("echo-bytes-bin"), trailers.Get("trailer-echo-bytes-bin")},
		[]interface{}{int32(2), []string{"some text, with a comma"}, []string{binary}, []string{binary}})
}

func checkErrors(ctx context.Context, connection *grpc.ClientConn) error {
	const text = "größer als 100 %\n日本 🙂"
	for _, code := range []codes.Code{codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition, codes.Unauthenticated} {
		var trailers metadata.MD
		_, err := call(ctx, connection, "Fail", &message{Number: int32(code), Text: text}, grpc.Trailer(&trailers))
		failure := status.Convert(err)
		if err := expect(nil,
			[]interface{}{failure.Code(), failure.Message(), trailers.Get("reason"), len(failure.Details())},
			[]interface{}{code, text, []string{"asked"}, 1}); err != nil {
			return err
		}
		info, _ := failure.Details()[0].(*errdetails.ErrorInfo)
		if info == nil || info.Reason != "ASKED" || info.Metadata["text"] != text {
			return fmt.Errorf("the detail is %v", failure.Details()[0])
		}
	}
	return nil
}

func checkMissing(ctx context.Context, connection *grpc.ClientConn) error {
	_, err := call(ctx, connection, "Missing", &message{})
	return expect(nil, status.Code(err), codes.Unimplemented)
}

func expect(err error, actual, expected interface{}) error {
	if err != nil {
		return err
	}
	if a, isMessage := actual.(*message); isMessage {
		e := expected.(*message)
		if a.Text == e.Text && a.Number == e.Number && bytes.Equal(a.Payload, e.Payload) {
			return nil
		}
	} else if reflect.DeepEqual(actual, expected) {
		return nil
	}
	return fmt.Errorf("got %v, expected %v", actual, expected)
}
