module krab.dev/conformance/runner

go 1.26.0
