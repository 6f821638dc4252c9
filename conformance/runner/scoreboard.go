package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

const unknownCause = "not looked into"

// scoreboard renders what is known of krab beside upstream, as Markdown.
func scoreboard(tests []test, krab, upstream results, causes []cause) string {
	var b strings.Builder
	all := krab.count(tests, upstream)
	fmt.Fprintf(&b, "# Scoreboard\n\nWritten by `conformance/run` from results/krab.tsv, results/upstream.tsv and causes.tsv; do not edit.\n\n")
	fmt.Fprintf(&b, "**%d of %d conformance tests of Kubernetes v1.37.0 pass on krab**; %d fail, %d were skipped, %d were not run.\n", all.passed, all.total, all.failed, all.skipped, all.notRun())
	fmt.Fprintf(&b, "Upstream's own components, in the same set-up: %s.\n", upstreamLine(upstream.count(tests, nil)))

	b.WriteString("\n## By class\n\n")
	writeTallyHead(&b, "class")
	for _, c := range classes {
		chosen := selection{classes: string(c.letter)}.pick(tests)
		writeTally(&b, fmt.Sprintf("%c: %s", c.letter, c.needs), krab.count(chosen, upstream))
	}
	writeTally(&b, "**all**", all)
	b.WriteString("\nThe ratio is krab's time divided by upstream's, over the tests that pass on both; most of it is the tests' own waiting.\n")

	b.WriteString("\n## By group\n\n")
	writeTallyHead(&b, "SIG")
	for _, sig := range sigs(tests) {
		writeTally(&b, sig, krab.count(selection{sig: sig}.pick(tests), upstream))
	}

	writeCauses(&b, tests, krab, causes)
	for _, sig := range sigs(tests) {
		writeGroup(&b, sig, selection{sig: sig}.pick(tests), krab, causes)
	}
	return b.String()
}

func upstreamLine(t tally) string {
	if t.notRun() == t.total {
		return "not run yet"
	}
	return fmt.Sprintf("%d passed, %d failed, %d skipped, %d not run", t.passed, t.failed, t.skipped, t.notRun())
}

func writeTallyHead(b *strings.Builder, first string) {
	fmt.Fprintf(b, "| %s | tests | passed | failed | skipped | not run | time, of upstream's |\n|---|---|---|---|---|---|---|\n", first)
}

func writeTally(b *strings.Builder, name string, t tally) {
	ratio := "-"
	if t.peerSeconds > 0 {
		ratio = fmt.Sprintf("%.0f s of %.0f s (%.2f)", t.seconds, t.peerSeconds, t.seconds/t.peerSeconds)
	}
	fmt.Fprintf(b, "| %s | %d | %d | %d | %d | %d | %s |\n", name, t.total, t.passed, t.failed, t.skipped, t.notRun(), ratio)
}

// writeCauses counts the failures of each cause, the most frequent first.
func writeCauses(b *strings.Builder, tests []test, krab results, causes []cause) {
	counts := map[string]int{}
	for _, t := range tests {
		if o := krab[t.name]; o.verdict == failed {
			counts[cmp.Or(causeOf(causes, t.name, o.reason), unknownCause)]++
		}
	}
	if len(counts) == 0 {
		return
	}
	var texts []string
	for text := range counts {
		texts = append(texts, text)
	}
	slices.SortFunc(texts, func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b))
	})
	b.WriteString("\n## Failures by cause\n\n| tests | cause |\n|---|---|\n")
	for _, text := range texts {
		fmt.Fprintf(b, "| %d | %s |\n", counts[text], cell(text))
	}
}

// writeGroup lists the tests of one group that do not pass.
func writeGroup(b *strings.Builder, sig string, tests []test, krab results, causes []cause) {
	var rows []string
	for _, t := range tests {
		o := krab[t.name]
		switch o.verdict {
		case failed, skipped:
			why := cell(o.reason)
			if cause := causeOf(causes, t.name, o.reason); cause != "" && o.verdict == failed {
				why = "**" + cell(cause) + "**: " + why
			}
			rows = append(rows, fmt.Sprintf("| %s | %c | %s | %s |", cell(shortName(t)), t.class, o.verdict, why))
		}
	}
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s: what does not pass\n\n| test | class | | reason |\n|---|---|---|---|\n%s\n", sig, strings.Join(rows, "\n"))
}

// shortName leaves out what every name of a group's table has.
func shortName(t test) string {
	name := strings.TrimPrefix(t.name, "[sig-"+t.sig()+"] ")
	return strings.TrimSpace(strings.ReplaceAll(name, "[Conformance]", ""))
}

// cell makes text safe inside a Markdown table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;", "*", `\*`, "_", `\_`).Replace(text)
}
