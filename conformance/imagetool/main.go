// Command imagetool makes the container images that upstream's conformance suite
// names, without a registry and without docker, each as an archive that a container
// runtime imports (`ctr images import`). table.go says what is in which image.
//
// With -serve it is a registry that holds them, for what pulls although it has an image.
//
// An image is made again only when this program or one of the programs inside the
// image has changed. The same inputs give the same bytes.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	cache := flag.String("cache", "", "folder that holds programs (bin) and takes images and debs")
	build := flag.String("build", "", "the command conformance/build")
	module := flag.String("kubernetes", "", "folder of the Go module k8s.io/kubernetes")
	list := flag.Bool("list", false, "print archive, image and set names instead of making images")
	address := flag.String("serve", "", "serve the named images as a registry on this address instead of making them")
	blobs := flag.String("blobs", "", "folder in which -serve keeps layers")
	flag.Parse()

	if *list {
		for _, s := range sets {
			for _, i := range s.images {
				fmt.Println(i.name, i.ref, s.name)
			}
		}
		return
	}
	w := &workshop{cache: *cache, build: *build, module: *module, trees: map[string]*tree{}}
	act := func() error { return w.make(flag.Args()) }
	if *address != "" {
		act = func() error { return w.serve(*address, *blobs, flag.Args()) }
	}
	if err := act(); err != nil {
		fmt.Fprintln(os.Stderr, "conformance/images:", err)
		os.Exit(1)
	}
}

// workshop knows where inputs are and keeps trees that several images share.
type workshop struct {
	cache, build, module string
	trees                map[string]*tree
}

func (w *workshop) make(names []string) error {
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	for _, dir := range []string{"images", "debs"} {
		if err := os.MkdirAll(filepath.Join(w.cache, dir), 0o755); err != nil {
			return err
		}
	}
	if err := w.buildPrograms(chosen); err != nil {
		return err
	}
	for _, i := range chosen {
		if err := w.makeImage(i); err != nil {
			return fmt.Errorf("image %s: %w", i.name, err)
		}
		fmt.Println(i.name, w.archive(i), i.ref)
	}
	return nil
}

// choose gives the rows for names of images and of sets.
func choose(names []string) ([]image, error) {
	if len(names) == 0 {
		return sets[0].images, nil
	}
	var chosen []image
	for _, n := range names {
		rows := rowsOf(n)
		if len(rows) == 0 {
			return nil, fmt.Errorf("no image or set named %s (conformance/images --list)", n)
		}
		chosen = append(chosen, rows...)
	}
	return chosen, nil
}

// rowsOf is the set of that name, or the image: "sonobuoy" is both, and the set holds the image.
func rowsOf(name string) []image {
	for _, s := range sets {
		if s.name == name {
			return s.images
		}
	}
	for _, s := range sets {
		for _, i := range s.images {
			if i.name == name {
				return []image{i}
			}
		}
	}
	return nil
}

func (w *workshop) buildPrograms(chosen []image) error {
	var programs []string
	for _, i := range chosen {
		programs = append(programs, i.programs()...)
	}
	if len(programs) == 0 {
		return nil
	}
	cmd := exec.Command(w.build, programs...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", w.build, strings.Join(programs, " "), err)
	}
	return nil
}

func (w *workshop) makeImage(i image) error {
	key, err := w.key(i)
	if err != nil {
		return err
	}
	keyFile := filepath.Join(w.cache, "images", "."+i.name+".key")
	if old, err := os.ReadFile(keyFile); err == nil && string(old) == key {
		if _, err := os.Stat(w.archive(i)); err == nil {
			return nil
		}
	}
	if err := w.writeArchive(i); err != nil {
		return err
	}
	return os.WriteFile(keyFile, []byte(key), 0o644)
}

// key changes with whatever may change the image's content.
func (w *workshop) key(i image) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintln(h, i.name, w.module)
	inputs := []string{self}
	for _, p := range i.programs() {
		inputs = append(inputs, w.program(p))
	}
	for _, path := range inputs {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (w *workshop) archive(i image) string {
	return filepath.Join(w.cache, "images", i.name+".tar")
}

// program is the path of a program made by conformance/build.
func (w *workshop) program(name string) string {
	return filepath.Join(w.cache, "bin", name)
}

// upstream is a path inside the Go module k8s.io/kubernetes.
func (w *workshop) upstream(path string) string {
	return filepath.Join(w.module, path)
}
