// Puts records into etcd by its own client, for a time; prints how many it put a second.
//
// etcd_client ENDPOINT CLIENTS CONNECTIONS SECONDS WARMUP FIRST VALUE: the clients share the connections, each waits
// for the answer to its put before it sends the next one, and the names are numbered from FIRST on.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/clientv3"
)

func number(text string) float64 {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	endpoint, clients, connections := os.Args[1], int(number(os.Args[2])), int(number(os.Args[3]))
	seconds, warmup, last, value := number(os.Args[4]), number(os.Args[5]), int64(number(os.Args[6])), os.Args[7]

	pool := make([]*clientv3.Client, connections)
	for i := range pool {
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 5 * time.Second})
		if err != nil {
			log.Fatal(err)
		}
		pool[i] = client
	}
	begin := time.Now().Add(time.Duration(warmup * float64(time.Second)))
	end := begin.Add(time.Duration(seconds * float64(time.Second)))
	var puts int64
	var running sync.WaitGroup
	for i := 0; i < clients; i++ {
		running.Add(1)
		go func(client *clientv3.Client) {
			defer running.Done()
			for time.Now().Before(end) {
				name := fmt.Sprintf("lab.over%02d.%08d", connections, atomic.AddInt64(&last, 1))
				if _, err := client.Put(context.Background(), name, value); err != nil {
					log.Fatal(err)
				}
				if now := time.Now(); now.After(begin) && now.Before(end) {
					atomic.AddInt64(&puts, 1)
				}
			}
		}(pool[i%connections])
	}
	running.Wait()
	fmt.Println(float64(puts) / seconds)
}
