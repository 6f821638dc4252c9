package main

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// writeArchive makes the image's archive, whole or not at all.
func (w *workshop) writeArchive(i image) error {
	scratch, err := os.MkdirTemp(filepath.Join(w.cache, "images"), ".making-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)

	img, err := withConfig(i)
	if err != nil {
		return err
	}
	for _, l := range i.layers {
		file := filepath.Join(scratch, l.name+".tar")
		if err := w.writeLayer(l, file); err != nil {
			return err
		}
		layer, err := tarball.LayerFromFile(file, tarball.WithCompressionLevel(gzip.BestSpeed))
		if err != nil {
			return err
		}
		img, err = mutate.Append(img, mutate.Addendum{
			Layer:   layer,
			History: v1.History{Created: v1.Time{Time: made}, CreatedBy: "imagetool " + l.name},
		})
		if err != nil {
			return err
		}
	}

	tag, err := name.NewTag(i.ref, name.StrictValidation)
	if err != nil {
		return err
	}
	out := filepath.Join(scratch, "archive.tar")
	if err := tarball.WriteToFile(out, tag, img); err != nil {
		return err
	}
	return os.Rename(out, w.archive(i))
}

func withConfig(i image) (v1.Image, error) {
	return mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		Architecture: runtime.GOARCH,
		OS:           "linux",
		Created:      v1.Time{Time: made},
		RootFS:       v1.RootFS{Type: "layers"},
		Config: v1.Config{
			Env:        append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, i.env...),
			Entrypoint: i.entrypoint,
			Cmd:        i.cmd,
			User:       i.user,
			WorkingDir: "/",
			// Images of the same layers still differ in their id, as tests of updates need.
			Labels: map[string]string{"org.opencontainers.image.ref.name": i.ref},
		},
	})
}

func (w *workshop) writeLayer(l layer, file string) error {
	t, ok := w.trees[l.name]
	if !ok {
		t = &tree{}
		if err := l.fill(w, t); err != nil {
			return err
		}
		w.trees[l.name] = t
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := t.writeTar(f); err != nil {
		return err
	}
	return f.Close()
}
