package inject

import (
	"reflect"
	"testing"
	"time"
)

func TestASeedGivesTheSamePlanAgain(t *testing.T) {
	all, err := Choose(nil)
	if err != nil {
		t.Fatal(err)
	}
	plan := Plan(7, 10*time.Minute, all)
	if !reflect.DeepEqual(plan, Plan(7, 10*time.Minute, all)) {
		t.Error("seed 7 gave two plans")
	}
	if reflect.DeepEqual(plan, Plan(8, 10*time.Minute, all)) {
		t.Error("seeds 7 and 8 gave the same plan")
	}
}

func TestAPlanFillsItsTimeWithEveryFault(t *testing.T) {
	all, _ := Choose(nil)
	for seed := range uint64(20) {
		lasts, made := time.Duration(0), map[string]int{}
		for _, step := range Plan(seed, 2*time.Minute, all) {
			lasts += step.Rest + step.Lasts
			made[step.Fault.Name]++
		}
		if lasts > 2*time.Minute || lasts < 2*time.Minute-12*time.Second {
			t.Errorf("seed %d: a plan of 2 minutes lasts %v", seed, lasts)
		}
		if len(made) != len(all) {
			t.Errorf("seed %d: only %v", seed, made)
		}
	}
}

func TestAFaultThatDoesNotExistIsRefused(t *testing.T) {
	if _, err := Choose([]string{"kill", "earthquake"}); err == nil {
		t.Error("no error")
	}
	chosen, err := Choose([]string{"drop", "kill"})
	if err != nil || len(chosen) != 2 {
		t.Errorf("%v %v", chosen, err)
	}
}
