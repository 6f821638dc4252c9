package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// outcome is what a case came to.
type outcome struct {
	number int
	test   *testCase
	// steps that differ, by number.
	steps []stepOutcome
}

// stepOutcome is a step whose answers differ.
type stepOutcome struct {
	number  int
	step    *step
	replies [2]*reply
	found   []difference
}

// side answers cases: a server that is asked, or a recording of one.
type side interface {
	name() string
	// play gives the answers to the steps of a case. What is answered wrong is part of what is played; an error is a side
	// that cannot be asked at all.
	play(ctx context.Context, number int, c *testCase) (*playing, error)
}

// sides runs one case on both.
type sides struct {
	both  [2]side
	known []*known
	// everything keeps steps without differences too.
	everything bool
}

// run plays a case on both sides, each at its own pace, and compares the answers.
func (s *sides) run(ctx context.Context, number int, c *testCase) (*outcome, error) {
	var played [2]*playing
	var failed [2]error
	var wait sync.WaitGroup
	for i, one := range s.both {
		wait.Go(func() { played[i], failed[i] = one.play(ctx, number, c) })
	}
	wait.Wait()
	for i, err := range failed {
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", s.both[i].name(), c.id(), err)
		}
	}
	out := &outcome{number: number, test: c}
	for i := range c.Steps {
		found := compareAnswers(played[0].tree(i), played[1].tree(i))
		mark(s.known, c, &c.Steps[i], found)
		if len(found) > 0 || s.everything {
			replies := [2]*reply{played[0].reply(i), played[1].reply(i)}
			out.steps = append(out.steps, stepOutcome{number: i + 1, step: &c.Steps[i], replies: replies, found: found})
		}
	}
	return out, nil
}

// lag is how long a server may take to heed what it has accepted.
const lag = 5 * time.Second

// playing is what one server answered to the steps of a case.
type playing struct {
	trees   []map[string]any
	replies []*reply
	// stopped is why not all steps were sent.
	stopped error
}

func (p *playing) tree(step int) map[string]any {
	if step < len(p.trees) {
		return p.trees[step]
	}
	return map[string]any{"stopped": p.stopped.Error()}
}

func (p *playing) reply(step int) *reply {
	if step < len(p.replies) {
		return p.replies[step]
	}
	return nil
}

func (p *peer) name() string { return p.called }

// play sends the steps to the server.
func (p *peer) play(ctx context.Context, number int, c *testCase) (*playing, error) {
	namespace := c.namespace(number)
	session := newSession(p, namespace)
	if c.usesNamespace() {
		if err := prepare(ctx, session, namespace); err != nil {
			return nil, err
		}
	}
	normal := &normaliser{session: session}
	out := &playing{}
	for i := range c.Steps {
		s := &c.Steps[i]
		answer, err := session.send(ctx, s)
		for begin := time.Now(); err == nil && !answer.holds(s.Until) && time.Since(begin) < lag; {
			time.Sleep(lag / 50)
			answer, err = session.send(ctx, s)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			out.trees = append(out.trees, map[string]any{"failed": err.Error()})
			out.replies = append(out.replies, nil)
			continue
		}
		whole, err := tree(answer, s)
		if err != nil {
			whole = map[string]any{"status": float64(answer.status), "failed": err.Error()}
		}
		saved := session.keep(s, answer)
		if answer.cut {
			whole["cut"] = true
		}
		out.trees = append(out.trees, normal.normalise(whole))
		out.replies = append(out.replies, answer)
		if saved != nil {
			out.stopped = fmt.Errorf("after step %d: %w", i+1, saved)
			return out, nil
		}
	}
	return out, nil
}

// prepare makes the namespace of a case, with the account pods need, which no controller makes here.
func prepare(ctx context.Context, s *session, namespace string) error {
	for _, step := range []step{
		{Do: "POST /api/v1/namespaces", Body: []byte(`{"metadata":{"name":"` + namespace + `"}}`)},
		{Do: "POST /api/v1/namespaces/" + namespace + "/serviceaccounts", Body: []byte(`{"metadata":{"name":"default"}}`)},
	} {
		answer, err := s.send(ctx, &step)
		if err != nil {
			return err
		}
		if answer.status != 201 {
			return fmt.Errorf("%s: %d %s", step.Do, answer.status, answer.body)
		}
	}
	s.said.Reset()
	return nil
}
