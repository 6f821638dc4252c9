// Command celtool asks upstream what CEL expressions are worth: it reads expressions, one a line, compiles and evaluates each in
// the environment k8s.io/apiserver gives to stored expressions, and prints a line of JSON with the answer.
//
// The answers are fixtures of crates/expressions (testdata/expressions.jsonl, and syntax.jsonl of texts that are none). To make them
// again, as each of them is made:
//
//	cd conformance && go run ./celtool < ../crates/expressions/testdata/expressions.txt > ../crates/expressions/testdata/expressions.jsonl
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/apiserver/pkg/cel/library"
)

// answer is what upstream says of one expression. Static and Cost are left out where nothing was computed.
type answer struct {
	Expression string     `json:"expression"`
	Compile    string     `json:"compile,omitempty"`
	Type       string     `json:"type,omitempty"`
	Static     *[2]uint64 `json:"static,omitempty"`
	Value      string     `json:"value,omitempty"`
	Error      string     `json:"error,omitempty"`
	Cost       *uint64    `json:"cost,omitempty"`
}

// permits allows user "admin" everything and everybody to read pods; it errs for the verb "err".
type permits struct{}

func (permits) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	switch {
	case a.GetVerb() == "err":
		return authorizer.DecisionDeny, "", fmt.Errorf("broken")
	case a.GetUser().GetName() == "admin" && !strings.HasPrefix(a.GetName(), "secret"):
		return authorizer.DecisionAllow, "admin may", nil
	case a.GetResource() == "pods" && a.GetVerb() == "get":
		return authorizer.DecisionAllow, "pods are open", nil
	}
	return authorizer.DecisionDeny, fmt.Sprintf("no %s", a.GetVerb()), nil
}

const object = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","labels":{"app":"web","tier":"front"}},
 "spec":{"replicas":3,"ratio":0.5,"enabled":true,"nothing":null,"ports":[{"name":"http","port":80},{"name":"https","port":443}],
 "args":["a","b","c"],"empty":[],"text":"héllo"}}`

func main() {
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "usage: celtool < EXPRESSIONS > ANSWERS\n\nCompiles and evaluates CEL expressions as upstream does, one a line; lines that begin with # are skipped.\n")
	}
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "celtool:", err)
		os.Exit(1)
	}
}

func run() error {
	env, variables, err := declared()
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		line = strings.ReplaceAll(line, "⏎", "\n")
		if err := out.Encode(ask(env, variables, line)); err != nil {
			return err
		}
	}
	return lines.Err()
}

func declared() (*cel.Env, map[string]any, error) {
	set, err := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()).Extend(environment.VersionedOptions{
		IntroducedVersion: environment.DefaultCompatibilityVersion(),
		EnvOptions: []cel.EnvOption{
			cel.Variable("i", cel.IntType),
			cel.Variable("u", cel.UintType),
			cel.Variable("x", cel.DoubleType),
			cel.Variable("b", cel.BoolType),
			cel.Variable("s", cel.StringType),
			cel.Variable("by", cel.BytesType),
			cel.Variable("l", cel.ListType(cel.IntType)),
			cel.Variable("ls", cel.ListType(cel.StringType)),
			cel.Variable("m", cel.MapType(cel.StringType, cel.IntType)),
			cel.Variable("t", cel.TimestampType),
			cel.Variable("d", cel.DurationType),
			cel.Variable("object", cel.DynType),
			cel.Variable("authorizer", library.AuthorizerType),
		},
	})
	if err != nil {
		return nil, nil, err
	}
	env, err := set.Env(environment.StoredExpressions)
	if err != nil {
		return nil, nil, err
	}
	var unstructured map[string]any
	if err := json.Unmarshal([]byte(object), &unstructured); err != nil {
		return nil, nil, err
	}
	integers(unstructured)
	return env, map[string]any{
		"i": int64(5), "u": uint64(7), "x": 2.5, "b": true, "s": "hello", "by": []byte("abc"),
		"l": []int64{1, 2, 3}, "ls": []string{"a", "b", "a"}, "m": map[string]int64{"one": 1},
		"t": time.Date(2024, 2, 29, 13, 14, 15, 160000000, time.UTC), "d": 90 * time.Minute,
		"object":     unstructured,
		"authorizer": library.NewAuthorizerVal(&user.DefaultInfo{Name: "jane"}, permits{}),
	}, nil
}

// integers makes whole numbers of a decoded object int64, as unstructured objects hold them.
func integers(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			v[key] = integers(child)
		}
	case []any:
		for index, child := range v {
			v[index] = integers(child)
		}
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	}
	return value
}

func ask(env *cel.Env, variables map[string]any, expression string) answer {
	a := answer{Expression: expression}
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		a.Compile = issues.String()
		return a
	}
	a.Type = ast.OutputType().String()
	if estimate, err := env.EstimateCost(ast, &library.CostEstimator{}); err == nil {
		a.Static = &[2]uint64{estimate.Min, estimate.Max}
	}
	program, err := env.Program(ast)
	if err != nil {
		a.Error = "program: " + err.Error()
		return a
	}
	value, details, err := program.Eval(variables)
	if details != nil {
		a.Cost = details.ActualCost()
	}
	if err != nil {
		a.Error = err.Error()
		return a
	}
	a.Value = show(value)
	return a
}

// show writes a value in one way, whatever it is made of; keys of maps are not in order, so maps show their size alone.
func show(value ref.Val) string {
	switch v := value.(type) {
	case types.String:
		return fmt.Sprintf("%q", string(v))
	case types.Bytes:
		return fmt.Sprintf("b%q", string(v))
	case types.Int, types.Bool, types.Null:
		return fmt.Sprint(v.Value())
	case types.Uint:
		return fmt.Sprintf("%du", uint64(v))
	case types.Double:
		return fmt.Sprintf("%gd", float64(v))
	case types.Timestamp:
		return fmt.Sprintf("timestamp(%s)", v.Time.Format(time.RFC3339Nano))
	case types.Duration:
		return fmt.Sprintf("duration(%s)", v.Duration)
	case *types.Optional:
		if !v.HasValue() {
			return "none"
		}
		return "some(" + show(v.GetValue()) + ")"
	case *types.Type:
		return "type(" + v.TypeName() + ")"
	case traits.Lister:
		items := []string{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			items = append(items, show(it.Next()))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case traits.Mapper:
		if v.Size() == types.Int(1) {
			it := v.Iterator()
			key := it.Next()
			return "{" + show(key) + ": " + show(v.Get(key)) + "}"
		}
		return fmt.Sprintf("map of %v", v.Size())
	}
	return value.Type().TypeName()
}
