package main

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"go.etcd.io/etcd/clientv3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

func serve(s settings, client *clientv3.Client) error {
	socket, address, err := bind()
	if err != nil {
		return err
	}
	// Bound and not listening: a call that comes now is refused, as it is at a server that registers before it listens.
	deregister, err := register(s, client, address)
	if err != nil {
		return err
	}
	time.Sleep(s.listenDelay)
	listener, err := listen(socket)
	if err != nil {
		return err
	}
	var options []grpc.ServerOption
	if s.certificate != "" {
		tls, err := credentials.NewServerTLSFromFile(s.certificate, s.key)
		if err != nil {
			return err
		}
		options = append(options, grpc.Creds(tls))
	}
	server := grpc.NewServer(options...)
	server.RegisterService(service(address), struct{}{})
	stop := terminated()
	go func() {
		<-stop
		deregister()
		server.GracefulStop()
	}()
	fmt.Printf("listening %s\n", address)
	return server.Serve(listener)
}

func bind() (socket int, address string, err error) {
	socket, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, "", err
	}
	if err = syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, "", err
	}
	name, err := syscall.Getsockname(socket)
	if err != nil {
		return 0, "", err
	}
	return socket, fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port), nil
}

func listen(socket int) (net.Listener, error) {
	if err := syscall.Listen(socket, 128); err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(socket), "listener")
	defer file.Close()
	return net.FileListener(file)
}
