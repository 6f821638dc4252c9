package main

import (
	"math/rand"
	"reflect"
	"slices"
	"testing"
)

// The same seed and number must make the same requests, or a difference could not be looked at again.
func TestASeedMakesTheSameSequenceAgain(t *testing.T) {
	requests := func() []*request {
		s := newSequence(options{seed: 5, steps: 8}, customKinds, 3)
		var made []*request
		for range s.steps {
			made = append(made, s.next())
		}
		return made
	}
	if first, second := requests(), requests(); !reflect.DeepEqual(first, second) {
		t.Fatalf("%v is not %v", text(second), text(first))
	}
}

func TestEveryKindMakesObjects(t *testing.T) {
	for _, k := range slices.Concat(builtInKinds, customKinds) {
		s := &sequence{r: rand.New(rand.NewSource(1)), kind: k, name: "a"}
		if whole := s.whole(k.versions[0]); whole["kind"] != k.kind || whole["apiVersion"] != k.versions[0] {
			t.Errorf("%s: %s", k.resource, text(whole))
		}
	}
}
