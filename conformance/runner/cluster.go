package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// buildPrograms makes what the suite is run with; a second time costs nothing.
func buildPrograms(home string) error {
	return command(filepath.Join(home, "build"), "ginkgo", "e2e.test", "kubectl")
}

// startCluster starts the cluster that tests need, and gives the function that ends it.
func (s *suite) startCluster(o options, tests []test) (func(), error) {
	tool := filepath.Join(o.home, "cluster")
	dir := fmt.Sprintf("/tmp/krab-conformance-%d", os.Getuid())
	nodes := o.nodes
	if nodes < 0 {
		nodes = nodesFor(tests)
	}
	line := []string{tool, "up", "--dir", dir, "--nodes", strconv.Itoa(nodes)}
	if o.port > 0 {
		line = append(line, "--port", strconv.Itoa(o.port))
	}
	if o.peer != "" {
		line = append(line, "--peer", o.peer)
	}
	if o.krab != "" {
		line = append(line, "--krab", o.krab)
	}
	if err := command(line[0], line[1:]...); err != nil {
		return nil, fmt.Errorf("the cluster did not start: %w", err)
	}
	end := func() {
		if o.keep {
			fmt.Printf("the cluster stays: %s exec --dir %s kubectl get nodes; %s down --dir %s\n", tool, dir, tool, dir)
			return
		}
		if err := command(tool, "down", "--dir", dir); err != nil {
			fmt.Fprintln(os.Stderr, "conformance/run: the cluster did not end:", err)
		}
	}
	if err := s.enterCluster(tool, dir); err != nil {
		end()
		return nil, err
	}
	return end, nil
}

// enterCluster uses a cluster that conformance/cluster started, from inside its network.
func (s *suite) enterCluster(tool, dir string) error {
	s.enter = []string{tool, "exec", "--dir", dir}
	return s.useCluster(filepath.Join(dir, "admin.kubeconfig"))
}

// useCluster uses the cluster of a kubeconfig, and counts its nodes.
func (s *suite) useCluster(kubeconfig string) error {
	var err error
	if s.kubeconfig, err = filepath.Abs(kubeconfig); err != nil {
		return err
	}
	line := append([]string{}, s.enter...)
	line = append(line, filepath.Join(s.bin, "kubectl"), "--kubeconfig", s.kubeconfig, "get", "nodes", "-o", "name")
	ask := exec.Command(line[0], line[1:]...)
	ask.Stderr = os.Stderr
	text, err := ask.Output()
	if err != nil {
		return fmt.Errorf("the cluster of %s does not answer: %w", kubeconfig, err)
	}
	s.nodes = len(strings.Fields(string(text)))
	return nil
}

// command runs a program of this folder whose words are for the user.
func command(name string, args ...string) error {
	run := exec.Command(name, args...)
	run.Stdout, run.Stderr = os.Stderr, os.Stderr
	return run.Run()
}
