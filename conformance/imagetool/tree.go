package main

import (
	"archive/tar"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// Mode bits as tar has them.
const (
	setuid = 0o4000
	sticky = 0o1000
)

// made is the time of every file and image: content alone decides their bytes.
var made = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// tree is a layer's files by absolute path, in memory. A later file replaces an
// earlier one of the same path.
type tree struct {
	entries map[string]entry
}

type entry struct {
	kind    byte // a type flag of package tar
	mode    int64
	target  string
	content []byte
}

func (t *tree) put(name string, e entry) {
	if t.entries == nil {
		t.entries = map[string]entry{}
	}
	t.entries[path.Join("/", name)] = e
}

func (t *tree) dir(name string, mode int64) {
	t.put(name, entry{kind: tar.TypeDir, mode: mode})
}

func (t *tree) symlink(name, target string) {
	t.put(name, entry{kind: tar.TypeSymlink, mode: 0o777, target: target})
}

func (t *tree) link(name, target string) {
	t.put(name, entry{kind: tar.TypeLink, mode: 0o755, target: target})
}

func (t *tree) file(name string, mode int64, content []byte) {
	t.put(name, entry{kind: tar.TypeReg, mode: mode, content: content})
}

func (t *tree) copy(name string, mode int64, from string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	t.file(name, mode, content)
	return nil
}

// readTar adds what a tar stream holds, except paths that leave says to leave out.
func (t *tree) readTar(r io.Reader, leave func(string) bool) error {
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Join("/", h.Name)
		if name == "/" || leave(name) {
			continue
		}
		e := entry{kind: h.Typeflag, mode: h.Mode & 0o7777, target: h.Linkname}
		switch h.Typeflag {
		case tar.TypeDir, tar.TypeSymlink:
		case tar.TypeLink:
			e.target = path.Join("/", h.Linkname)
		case tar.TypeReg:
			if e.content, err = io.ReadAll(in); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s: no rule for a tar entry of type %q", name, h.Typeflag)
		}
		t.put(name, e)
	}
}

// writeTar writes the tree sorted by path, with the folders above each file, all
// owned by root. Hard links come last, behind what they point to.
func (t *tree) writeTar(w io.Writer) error {
	all := maps.Clone(t.entries)
	for name := range t.entries {
		for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
			if _, ok := all[dir]; !ok {
				all[dir] = entry{kind: tar.TypeDir, mode: 0o755}
			}
		}
	}
	names := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		if la, lb := all[a].kind == tar.TypeLink, all[b].kind == tar.TypeLink; la != lb {
			if la {
				return 1
			}
			return -1
		}
		return strings.Compare(a, b)
	})
	out := tar.NewWriter(w)
	for _, name := range names {
		e := all[name]
		h := &tar.Header{
			Typeflag: e.kind,
			Name:     strings.TrimPrefix(name, "/"),
			Linkname: e.target,
			Mode:     e.mode,
			Size:     int64(len(e.content)),
			ModTime:  made,
		}
		switch e.kind {
		case tar.TypeDir:
			h.Name += "/"
		case tar.TypeLink:
			h.Linkname = strings.TrimPrefix(e.target, "/")
		}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := out.Write(e.content); err != nil {
			return err
		}
	}
	return out.Close()
}
