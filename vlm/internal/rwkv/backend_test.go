package rwkv_test

import (
	"testing"

	"github.com/visualrwkv/edged/internal/backendtest"
)

func TestBackend(t *testing.T) { backendtest.Check(t) }
