package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// unpack adds the files of Debian packages and of all they depend on, from the
// machine's own apt sources. Nothing is installed on the machine.
func (w *workshop) unpack(t *tree, packages ...string) error {
	debs, err := w.download(packages)
	if err != nil {
		return fmt.Errorf("packages of Debian 12: %w", err)
	}
	for _, deb := range debs {
		if err := w.unpackOne(t, deb); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(deb), err)
		}
	}
	return nil
}

func (w *workshop) unpackOne(t *tree, deb string) error {
	cmd := exec.Command("dpkg-deb", "--fsys-tarfile", deb)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = t.readTar(out, uselessInImage)
	if err != nil {
		out.Close()
	}
	return errors.Join(err, cmd.Wait())
}

func uselessInImage(path string) bool {
	for _, dir := range []string{"doc", "man", "locale", "info", "bug", "lintian"} {
		if strings.HasPrefix(path+"/", "/usr/share/"+dir+"/") {
			return true
		}
	}
	return false
}

var (
	installLine  = regexp.MustCompile(`(?m)^Inst (\S+) \((\S+) `)
	downloadLine = regexp.MustCompile(`(?m)^'[^']*' (\S+\.deb) `)
)

// download gives the packages' files, sorted, fetching those not yet in the cache.
func (w *workshop) download(packages []string) ([]string, error) {
	// Against an empty list of installed packages, apt names every dependency.
	status, err := os.CreateTemp("", "dpkg-status")
	if err != nil {
		return nil, err
	}
	status.Close()
	defer os.Remove(status.Name())
	args := append([]string{"-o", "Dir::State::status=" + status.Name(), "-s", "--no-install-recommends", "install"}, packages...)
	plan, err := exec.Command("apt-get", args...).Output()
	if err != nil {
		return nil, failed("apt-get -s install (try apt-get update)", err)
	}
	var exact []string
	for _, m := range installLine.FindAllStringSubmatch(string(plan), -1) {
		exact = append(exact, m[1]+"="+m[2])
	}

	uris, err := exec.Command("apt-get", append([]string{"download", "--print-uris"}, exact...)...).Output()
	if err != nil {
		return nil, failed("apt-get download", err)
	}
	var debs []string
	missing := false
	for _, m := range downloadLine.FindAllStringSubmatch(string(uris), -1) {
		path := filepath.Join(w.cache, "debs", m[1])
		debs = append(debs, path)
		if _, err := os.Stat(path); err != nil {
			missing = true
		}
	}
	if len(debs) != len(exact) {
		return nil, fmt.Errorf("apt-get would fetch %d of %d packages", len(debs), len(exact))
	}
	if missing {
		cmd := exec.Command("apt-get", append([]string{"-q", "-o", "APT::Sandbox::User=root", "download"}, exact...)...)
		cmd.Dir = filepath.Join(w.cache, "debs")
		if err := run(cmd); err != nil {
			return nil, err
		}
	}
	slices.Sort(debs)
	return debs, nil
}

// run runs a command whose output matters only when it fails.
func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd.Path, err, out)
	}
	return nil
}

func failed(what string, err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%s: %w\n%s", what, err, exit.Stderr)
	}
	return fmt.Errorf("%s: %w", what, err)
}
