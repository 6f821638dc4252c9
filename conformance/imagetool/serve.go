package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// serve is a registry on address that holds the chosen images, under their names
// without the host, and takes others. It makes nothing: the archives must be there.
// Layers lie in the folder blobs.
func (w *workshop) serve(address, blobs string, names []string) error {
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	handler := registry.New(registry.WithBlobHandler(registry.NewDiskBlobHandler(blobs)))
	if err := w.push(handler, chosen); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	return server.Serve(listener)
}

// push fills the registry before anybody else can ask it.
func (w *workshop) push(handler http.Handler, chosen []image) error {
	private := httptest.NewServer(handler)
	defer private.Close()
	host := strings.TrimPrefix(private.URL, "http://")
	for _, i := range chosen {
		img, err := tarball.ImageFromPath(w.archive(i), nil)
		if err != nil {
			return fmt.Errorf("%s: %w", w.archive(i), err)
		}
		for _, ref := range append([]string{i.ref}, i.served...) {
			_, path, _ := strings.Cut(ref, "/")
			target, err := name.ParseReference(host + "/" + path)
			if err != nil {
				return err
			}
			if err := remote.Write(target, img); err != nil {
				return fmt.Errorf("image %s: %w", i.name, err)
			}
		}
	}
	return nil
}
