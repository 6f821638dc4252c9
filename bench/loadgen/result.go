package main

import (
	"context"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// result is one line of the answer. Times are in seconds.
type result struct {
	Work       string  `json:"work"`
	Operations int     `json:"operations"`
	Seconds    float64 `json:"seconds"`
	P50        float64 `json:"p50"`
	P99        float64 `json:"p99"`
	// Bytes of the answers, where they are of interest.
	Bytes int64 `json:"bytes,omitempty"`
	// Unsupported says why the server does not do this at all.
	Unsupported string `json:"unsupported,omitempty"`
	AnswerType  string `json:"answerType"`
}

// summarize makes a result of the time each operation took.
func summarize(times []time.Duration, whole time.Duration) *result {
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	at := func(share float64) float64 {
		if len(times) == 0 {
			return 0
		}
		return times[min(int(float64(len(times))*share), len(times)-1)].Seconds()
	}
	return &result{Operations: len(times), Seconds: whole.Seconds(), P50: at(0.50), P99: at(0.99)}
}

// parallel does operations 0..count with all clients at once, each taking the next one that is left, and stops at the first error.
func (l *load) parallel(ctx context.Context, count int, operation func(ctx context.Context, client, number int) error) (*result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	times := make([]time.Duration, count)
	var next atomic.Int64
	var group sync.WaitGroup
	since := time.Now()
	for client := range l.clients {
		group.Go(func() {
			for {
				number := int(next.Add(1)) - 1
				if number >= count || ctx.Err() != nil {
					return
				}
				begin := time.Now()
				if err := operation(ctx, client, number); err != nil {
					cancel(err)
					return
				}
				times[number] = time.Since(begin)
			}
		})
	}
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return summarize(times, time.Since(since)), nil
}
