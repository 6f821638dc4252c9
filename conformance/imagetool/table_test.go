package main

import "testing"

func everyImage() []image {
	var all []image
	for _, s := range sets {
		all = append(all, s.images...)
	}
	return all
}

func TestNoTwoImagesShareAnArchiveOrAName(t *testing.T) {
	archives, refs := map[string]bool{}, map[string]bool{}
	for _, i := range everyImage() {
		if archives[i.name] {
			t.Errorf("two images have the archive %s", i.name)
		}
		archives[i.name] = true
		for _, ref := range append([]string{i.ref}, i.served...) {
			if refs[ref] {
				t.Errorf("two images are called %s", ref)
			}
			refs[ref] = true
		}
	}
}

// Layers are made once and found again by their names.
func TestLayersOfOneNameHoldTheSamePrograms(t *testing.T) {
	programs := map[string]int{}
	for _, i := range everyImage() {
		for _, l := range i.layers {
			if n, ok := programs[l.name]; ok && n != len(l.programs) {
				t.Errorf("the layer %s is two different ones", l.name)
			}
			programs[l.name] = len(l.programs)
		}
	}
}

func TestNamesChooseImagesAndSets(t *testing.T) {
	cases := []struct {
		names []string
		want  int
	}{
		{nil, len(suite)},
		{[]string{"pause"}, 1},
		{[]string{"sonobuoy"}, len(sonobuoy)},
		{[]string{"critest", "pause"}, len(critest) + 1},
	}
	for _, c := range cases {
		chosen, err := choose(c.names)
		if err != nil || len(chosen) != c.want {
			t.Errorf("%v choose %d images (%v), not %d", c.names, len(chosen), err, c.want)
		}
	}
	if _, err := choose([]string{"nope"}); err == nil {
		t.Error("a name of nothing chooses something")
	}
}
