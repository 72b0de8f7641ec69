package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/clientv3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
)

// tally is what became of calls so far.
type tally struct {
	sync.Mutex
	made, failed int
	answers      map[string]int
}

func (t *tally) add(answeredBy *peer.Peer, err error) {
	t.Lock()
	defer t.Unlock()
	t.made++
	if err != nil {
		t.failed++
		fmt.Println("failure", err)
		return
	}
	t.answers[answeredBy.Addr.String()]++
}

func (t *tally) print() {
	t.Lock()
	defer t.Unlock()
	fmt.Printf("made %d failed %d\n", t.made, t.failed)
}

// load calls until it is told to stop.
func load(s settings, client *clientv3.Client) error {
	ctx, cancel := context.WithCancel(context.Background())
	total := &tally{answers: map[string]int{}}
	var callers sync.WaitGroup
	for i := 0; i < s.callers; i++ {
		callers.Add(1)
		go func() {
			defer callers.Done()
			for ctx.Err() == nil {
				connection, err := getConn(s, client)
				if err != nil {
					fail(err)
				}
				var answeredBy peer.Peer
				limited, release := context.WithTimeout(context.Background(), patience)
				_, err = call(limited, connection, "Echo", &message{Text: "load"}, grpc.Peer(&answeredBy))
				release()
				total.add(&answeredBy, err)
				time.Sleep(2 * time.Millisecond)
			}
		}()
	}
	stop := terminated()
	for stopping := false; !stopping; {
		select {
		case <-stop:
			stopping = true
		case <-time.After(50 * time.Millisecond):
			total.print()
		}
	}
	cancel()
	callers.Wait()
	for address, number := range total.answers {
		fmt.Printf("answered %s %d\n", address, number)
	}
	total.print()
	return nil
}

// silent reads a stream on which nothing comes for a long time.
func silent(s settings, client *clientv3.Client) error {
	connection, err := getConn(s, client)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.silence+patience)
	defer cancel()
	stream, err := open(ctx, connection, "WaitStream", &message{Number: int32(s.silence.Milliseconds())})
	if err != nil {
		return err
	}
	for _, text := range []string{"first", "second"} {
		answer := new(message)
		if err := expect(stream.RecvMsg(answer), answer.Text, text); err != nil {
			return err
		}
		fmt.Println("received", answer.Text)
	}
	return nil
}
