package keystest

import (
	"testing"

	"wavegate/server/gatetest"
)

// program is wavegate as it is shipped, built by TestMain.
var program gatetest.Program

func TestMain(m *testing.M) { gatetest.Main(m, &program) }

// startGate starts wavegate in a folder and returns its URL. It has to know its
// port before it listens, since it names its authorization server by it.
func startGate(t *testing.T, dir string, args ...string) (url string) {
	t.Helper()
	p := program.Serve(t, dir, func(port string) []string { return append([]string{"--listen", "127.0.0.1:" + port}, args...) })
	return "http://" + p.Addr
}
