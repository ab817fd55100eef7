package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/visualrwkv/edged/edge/config"
	"github.com/visualrwkv/edged/fw"
	"github.com/visualrwkv/edged/weights"
)

const (
	secretKeyHelp = "`file` of the secret key to sign with, as \"minisign -G -W\" makes it"
	trustHelp     = "`file` of one or two public keys that may have signed it"

	fwSignAbout = `Signs a bundle, which may be signed already, and checks it on the way. With -key edged signs
it. With -signature it is another program that has signed the bundle's first file:

    tar -xf BUNDLE manifest.json && minisign -S -m manifest.json
    edged fw sign BUNDLE -signature manifest.json.minisig -trust minisign.pub`
)

// fwSignMain is "edged fw sign".
func fwSignMain(args []string, stdout, stderr io.Writer) int {
	fs := newFlags("fw sign", "BUNDLE (-key FILE | -signature FILE -trust FILE) [-o FILE] [-json]", fwSignAbout)
	key := fs.String("key", "", secretKeyHelp)
	signature := fs.String("signature", "", "`file` of minisign's signature of the manifest")
	trust := fs.String("trust", "", trustHelp)
	out := fs.String("o", "", "`file` to write; replaced when all is done (default: BUNDLE itself)")
	asJSON := fs.Bool("json", false, "print one JSON object")
	quiet := fs.Bool("quiet", false, "no progress")
	files, code, ok := parseMixed(fs, args, stdout, stderr)
	switch {
	case !ok:
		return code
	case len(files) != 1:
		return wrongUse(fs, stderr, "want one bundle")
	case (*key == "") == (*signature == "") || (*signature != "") != (*trust != ""):
		return wrongUse(fs, stderr, "want -key, or -signature and -trust")
	}
	if *out == "" {
		*out = files[0]
	}
	sign, err := signer(*key, *signature, *trust)
	if err == nil {
		var m *fw.Manifest
		if m, err = signBundle(files[0], *out, sign, newProgress(stderr, *quiet)); err == nil {
			return printBundle(fs.Name(), describeBundle(m), *asJSON, stdout, stderr)
		}
	}
	fmt.Fprintln(stderr, "edged fw sign:", err)
	if _, ok := errors.AsType[badInput](err); ok {
		return exitInput
	}
	return exitFailed
}

// signer makes what signs manifests: a key, or a signature that is there already.
func signer(key, signature, trust string) (func(raw []byte) ([]byte, error), error) {
	if key != "" {
		k, err := readSecretKey(key)
		if err != nil {
			return nil, badInput{err}
		}
		return func(raw []byte) ([]byte, error) {
			m, err := fw.ParseManifest(raw)
			if err != nil {
				return nil, err
			}
			return k.Sign(raw, signedComment(m)), nil
		}, nil
	}
	keys, err := readPublicKeys(trust)
	if err != nil {
		return nil, badInput{err}
	}
	sig, err := readSmall(signature)
	if err != nil {
		return nil, badInput{err}
	}
	return func(raw []byte) ([]byte, error) {
		if _, _, err := fw.Verify(raw, sig, keys); err != nil {
			return nil, fmt.Errorf("%s: %w", signature, err)
		}
		return sig, nil
	}, nil
}

func signBundle(in, out string, sign func([]byte) ([]byte, error), bar *progress) (m *fw.Manifest, err error) {
	r, err := openBundle(in, bar)
	if err != nil {
		return nil, badInput{err}
	}
	defer r.Close()
	defer bar.end()
	var bad error
	err = weights.WriteFile(out, func(w io.Writer) error {
		m, bad = fw.Sign(w, r, sign)
		return bad
	})
	if bad != nil {
		err = badInput{fmt.Errorf("%s: %w", in, bad)}
	}
	return m, err
}

const fwVerifyAbout = `Checks that a bundle was signed with a key that is trusted, and that all of it is what was
signed. BUNDLE may be - for the standard input. It exits with 0, or with 1 and says what is wrong.`

// fwVerifyMain is "edged fw verify".
func fwVerifyMain(args []string, std stdio) int {
	fs := newFlags("fw verify", "BUNDLE -trust FILE [-json]", fwVerifyAbout)
	trust := fs.String("trust", "", trustHelp)
	asJSON := fs.Bool("json", false, "print one JSON object")
	quiet := fs.Bool("quiet", false, "no progress")
	files, code, ok := parseMixed(fs, args, std.out, std.err)
	switch {
	case !ok:
		return code
	case len(files) != 1 || *trust == "":
		return wrongUse(fs, std.err, "want one bundle and -trust")
	}
	fail := func(code int, err error) int {
		fmt.Fprintln(std.err, "edged fw verify:", err)
		return code
	}
	keys, err := readPublicKeys(*trust)
	if err != nil {
		return fail(exitInput, err)
	}
	var r io.Reader = std.in
	if files[0] != "-" {
		bar := newProgress(std.err, *quiet)
		defer bar.end()
		f, err := openBundle(files[0], bar)
		if err != nil {
			return fail(exitInput, err)
		}
		defer f.Close()
		r = f
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b, err := fw.Open(r, keys)
	for err == nil && ctx.Err() == nil {
		err = verifyNext(b)
	}
	if err != io.EOF {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		return fail(exitFailed, fmt.Errorf("%s: %w", files[0], err))
	}
	info := describeBundle(b.Manifest)
	info.Key, info.Comment = b.By.ID(), b.Comment
	return printBundle(fs.Name(), info, *asJSON, std.out, std.err)
}

// verifyNext checks the next file of a bundle, and of defaults what they say.
func verifyNext(b *fw.Bundle) error {
	f, err := b.Next()
	if err != nil {
		return err
	}
	if f.Role != fw.RoleDefaults {
		_, err = b.Copy(io.Discard)
		return err
	}
	var text bytes.Buffer
	if _, err := b.Copy(&text); err != nil {
		return err
	}
	_, err = config.ParseDefaults(f.Name, text.Bytes())
	return err
}

func printBundle(who string, b bundleInfo, asJSON bool, stdout, stderr io.Writer) (code int) {
	var err error
	if asJSON {
		err = json.NewEncoder(stdout).Encode(b)
	} else {
		err = b.print(stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", who, err)
		return exitFailed
	}
	return exitOK
}

// bundleFile is a bundle that tells how far it was read.
type bundleFile struct {
	*os.File
	bar         *progress
	done, total int64
}

func openBundle(path string, bar *progress) (*bundleFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	b := &bundleFile{File: f, bar: bar}
	if info, err := f.Stat(); err == nil {
		b.total = info.Size()
	}
	return b, nil
}

func (b *bundleFile) Read(p []byte) (int, error) {
	n, err := b.File.Read(p)
	b.done += int64(n)
	b.bar.show(b.done, b.total)
	return n, err
}

// readSmall reads a file of a key or a signature.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const limit = 1 << 16
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && len(data) > limit {
		err = fmt.Errorf("%s: more than %d bytes, which no key and no signature has", path, limit)
	}
	return data, err
}

func readPublicKeys(path string) ([]fw.PublicKey, error) {
	text, err := readSmall(path)
	if err != nil {
		return nil, err
	}
	keys, err := fw.ParsePublicKeys(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

func readSecretKey(path string) (fw.SecretKey, error) {
	text, err := readSmall(path)
	if err != nil {
		return fw.SecretKey{}, err
	}
	k, err := fw.ParseSecretKey(text)
	if err != nil {
		return fw.SecretKey{}, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}
