// Command faulttool is the program behind conformance/faults: it runs krab, or upstream's
// control plane, under a load, makes faults, and judges what the clients saw.
//
//	plan (inject)  ->  target, under load, through a proxy  ->  history  ->  check
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"krab.dev/conformance/faulttool/inject"
)

// The short form: what needs no root, in the time of a test.
const (
	shortDuration = 30 * time.Second
	shortFaults   = "kill,pause,drop"
)

// options are those of the command line.
type options struct {
	duration time.Duration
	seed     uint64
	faults   []*inject.Fault
	peer     string
	// datastore is krab's: "embedded" or "etcd".
	datastore string
	krab      string
	programs  string
}

func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance/faults:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	passed, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance/faults:", err)
	}
	if err != nil || !passed {
		os.Exit(1)
	}
}

// etcd is the program that krab's data is in; "" for the embedded store.
func (o options) etcd() string {
	if o.datastore != "etcd" {
		return ""
	}
	return filepath.Join(o.programs, "etcd")
}

func parse(arguments []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("conformance/faults", flag.ContinueOnError)
	flags.DurationVar(&o.duration, "duration", 10*time.Minute, "how long faults are made")
	flags.Uint64Var(&o.seed, "seed", 0, "makes the same plan again (default: a new one, printed)")
	only := flags.String("only", "", "the faults to make, as `FAULT,...` (default: all that the target can have)")
	short := flags.Bool("short", false, fmt.Sprintf("the same as --duration %v --only %s", shortDuration, shortFaults))
	flags.StringVar(&o.peer, "peer", "", "\"upstream\": kube-apiserver and three etcd members in place of krab")
	flags.StringVar(&o.datastore, "datastore", "embedded", "where krab keeps its data: \"embedded\", or \"etcd\" of three members")
	flags.StringVar(&o.krab, "krab", "", "`PATH` of the krab to test (default: target/debug/krab)")
	flags.StringVar(&o.programs, "programs", "", "`FOLDER` with upstream's programs (set by conformance/faults)")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: conformance/faults [OPTION...]\nOptions:")
		flags.PrintDefaults()
		fmt.Fprintln(flags.Output(), "Faults:")
		for _, f := range inject.Table {
			fmt.Fprintf(flags.Output(), "  %-12s %s\n", f.Name, f.Does)
		}
	}
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("no argument is taken, and there is %q (--help)", flags.Arg(0))
	}
	if *short {
		o.duration, *only = shortDuration, shortFaults
	}
	if o.peer != "" && o.peer != "upstream" {
		return o, fmt.Errorf("--peer %s: there is only upstream", o.peer)
	}
	if o.datastore != "embedded" && o.datastore != "etcd" {
		return o, fmt.Errorf("--datastore %s: there are embedded and etcd", o.datastore)
	}
	if o.duration <= 0 {
		return o, errors.New("--duration must be positive")
	}
	for o.seed == 0 {
		o.seed = uint64(rand.Uint32())
	}
	var names []string
	if *only != "" {
		names = strings.Split(*only, ",")
	}
	var err error
	o.faults, err = inject.Choose(names)
	return o, err
}
