package main

import (
	"archive/tar"
	"bytes"
	"io"
	"slices"
	"testing"
)

func TestTarIsSortedHasParentsAndLinksLast(t *testing.T) {
	files := &tree{}
	files.link("/bin/a", "/bin/z")
	files.file("/bin/z", 0o755, []byte("z"))
	files.symlink("/usr/bin", "../bin")
	var out bytes.Buffer
	if err := files.writeTar(&out); err != nil {
		t.Fatal(err)
	}
	again := bytes.Clone(out.Bytes())
	var names []string
	in := tar.NewReader(&out)
	for {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if !h.ModTime.Equal(made) {
			t.Errorf("%s has the time %v", h.Name, h.ModTime)
		}
	}
	if want := []string{"bin/", "bin/z", "usr/", "usr/bin", "bin/a"}; !slices.Equal(names, want) {
		t.Errorf("the order is %v, not %v", names, want)
	}
	read := &tree{}
	if err := read.readTar(bytes.NewReader(again), func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if got := read.entries["/bin/a"]; got.kind != tar.TypeLink || got.target != "/bin/z" {
		t.Errorf("the link came back as %+v", got)
	}
}
