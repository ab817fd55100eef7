package fw

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/emulated"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func secret(t testing.TB) SecretKey {
	t.Helper()
	k, err := ParseSecretKey(read(t, "minisign.key"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func keys(t testing.TB, names ...string) (all []PublicKey) {
	t.Helper()
	for _, name := range names {
		k, err := ParsePublicKeys(read(t, name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, k...)
	}
	return all
}

// TestVerify checks what minisign 0.11 has signed, both of its ways.
func TestVerify(t *testing.T) {
	message := []byte("what is signed\n")
	for _, name := range []string{"pre.minisig", "legacy.minisig"} {
		by, comment, err := Verify(message, read(t, name), keys(t, "other.pub", "minisign.pub"))
		if err != nil || comment != "trusted words" || by != keys(t, "minisign.pub")[0] {
			t.Errorf("%s: key %s, comment %q: %v", name, by.ID(), comment, err)
		}
		if _, _, err := Verify([]byte("what is not"), read(t, name), keys(t, "minisign.pub")); err == nil {
			t.Errorf("%s passes for another message", name)
		}
		other := bytes.Replace(read(t, name), []byte("trusted words"), []byte("trusted wards"), 1)
		if _, _, err := Verify(message, other, keys(t, "minisign.pub")); err == nil {
			t.Errorf("%s passes with another comment", name)
		}
		_, _, err = Verify(message, read(t, name), keys(t, "other.pub"))
		if err == nil || !strings.Contains(err.Error(), "F64042C48737E57A") || !strings.Contains(err.Error(), "not trusted") {
			t.Errorf("%s with another key: %v", name, err)
		}
	}
	sig := secret(t).Sign(message, "of\nours\x1b[31m")
	_, comment, err := Verify(message, sig, keys(t, "minisign.pub"))
	if err != nil || comment != "of ours [31m" {
		t.Errorf("of ours: comment %q: %v", comment, err)
	}
}

// TestMinisign lets minisign check what was signed here.
func TestMinisign(t *testing.T) {
	emulated.SkipProcess(t)
	program, err := exec.LookPath("minisign")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("minisign is not installed")
	}
	file := filepath.Join(t.TempDir(), "manifest.json")
	message := []byte("{}\n")
	if err := os.WriteFile(file, message, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".minisig", secret(t).Sign(message, "version 7"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, "-V", "-m", file, "-p", "testdata/minisign.pub").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "version 7") {
		t.Errorf("minisign: %v\n%s", err, out)
	}
}

func TestKeys(t *testing.T) {
	k := keys(t, "minisign.pub")[0]
	if k.ID() != "F64042C48737E57A" || secret(t).Public() != k {
		t.Errorf("key %s", k.ID())
	}
	again, err := ParsePublicKeys([]byte("# ours\n" + k.String() + "\n\n" + keys(t, "other.pub")[0].String()))
	if err != nil || len(again) != 2 || again[0] != k {
		t.Errorf("%v: %v", again, err)
	}
	_, err = ParsePublicKeys(bytes.Repeat([]byte(k.String()+"\n"), 3))
	if err == nil || err.Error() != "line 3: more than 2 keys" {
		t.Errorf("three keys: %v", err)
	}
	_, err = ParsePublicKeys(read(t, "minisign.key"))
	if err == nil || !strings.Contains(err.Error(), "line 2: not a public key") {
		t.Errorf("a secret key as a public one: %v", err)
	}
	if _, err := ParsePublicKeys(nil); err == nil {
		t.Error("an empty file has a key")
	}
	_, err = ParseSecretKey(read(t, "password.key"))
	if err == nil || !strings.Contains(err.Error(), "under a password") {
		t.Errorf("a key under a password: %v", err)
	}
	if _, err := ParseSecretKey(read(t, "minisign.pub")); err == nil {
		t.Error("a public key is a secret one")
	}
}

func FuzzSignature(f *testing.F) {
	f.Add(read(f, "pre.minisig"))
	f.Add(read(f, "legacy.minisig"))
	trusted := keys(f, "minisign.pub")
	f.Fuzz(func(t *testing.T, sig []byte) {
		_, comment, err := Verify([]byte("what is signed\n"), sig, trusted)
		if err == nil && comment != "trusted words" {
			t.Errorf("a signature with the comment %q passes", comment)
		}
	})
}

func FuzzKeys(f *testing.F) {
	f.Add(read(f, "minisign.pub"))
	f.Add(read(f, "minisign.key"))
	f.Add(read(f, "password.key"))
	f.Fuzz(func(t *testing.T, text []byte) {
		ParseSecretKey(text)
		all, err := ParsePublicKeys(text)
		for _, k := range all {
			again, err := parsePublicKey(k.String())
			if err != nil || again != k {
				t.Errorf("%s becomes %s: %v", k, again, err)
			}
		}
		if err == nil && (len(all) == 0 || len(all) > MaxKeys) {
			t.Errorf("%d keys", len(all))
		}
	})
}
