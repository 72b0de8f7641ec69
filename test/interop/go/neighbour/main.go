// A neighbour in a cluster: a server of interop.proto that registers itself the way another project does, or a client that finds its
// servers that way. It stands in for services that are not .NET.
//
//	neighbour serve -etcd HOST:PORT -way WAY -service NAME    prints "listening HOST:PORT"; SIGTERM stops it gracefully
//	neighbour check -etcd HOST:PORT -way WAY -service NAME    makes every kind of call; prints "ok CHECK" for each
//	neighbour load -etcd HOST:PORT -way WAY -service NAME     calls until SIGTERM; prints "made N failed N", then who answered how often
//	neighbour silent -etcd HOST:PORT -way WAY -service NAME   holds a stream that is silent for the time of -silence
//
// Servers know the ways openim, naming, gozero, kratos and kitex; clients these and openim3.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/etcd/clientv3"
)

type settings struct {
	etcd, way, root, service string
	ttl                      int64
	newLease                 time.Duration
	listenDelay              time.Duration
	silence                  time.Duration
	callers                  int
	certificate, key         string
}

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("say what to be: serve, check, load or silent"))
	}
	var s settings
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&s.etcd, "etcd", "127.0.0.1:2379", "etcd's endpoints, separated by commas")
	flags.StringVar(&s.way, "way", "openim", "the project whose way it is")
	flags.StringVar(&s.root, "root", "", "what the keys begin with; empty: the project's default")
	flags.StringVar(&s.service, "service", "greeter", "the service's name")
	flags.Int64Var(&s.ttl, "ttl", 10, "the lease's time to live in seconds")
	flags.DurationVar(&s.newLease, "new-lease", 0, "take another lease that often, and leave the one before to expire; 0: never")
	flags.DurationVar(&s.listenDelay, "listen-delay", 0, "listen that long after the registration")
	flags.DurationVar(&s.silence, "silence", 75*time.Second, "how long the stream is silent")
	flags.IntVar(&s.callers, "callers", 4, "how many call at once")
	flags.StringVar(&s.certificate, "certificate", "", "the file of a server's certificate; empty: no TLS")
	flags.StringVar(&s.key, "key", "", "the file of its key")
	flags.Parse(os.Args[2:])

	run, known := map[string]func(settings, *clientv3.Client) error{
		"serve": serve, "check": check, "load": load, "silent": silent,
	}[os.Args[1]]
	if !known {
		fail(fmt.Errorf("%q is none of serve, check, load and silent", os.Args[1]))
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: strings.Split(s.etcd, ","), DialTimeout: 5 * time.Second})
	if err == nil {
		err = run(s, client)
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// terminated is closed by the signal that asks a process to stop.
func terminated() <-chan os.Signal {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	return signals
}
