// Command oracle verifies a Writ audit log with golang.org/x/mod/sumdb/{note,tlog}, which share no code with
// Writ: the checkpoint's signature, every entry against the tree through authenticated tiles, and the
// consistency with an earlier checkpoint.
//
// Usage: oracle VKEY DIRECTORY [EARLIER-CHECKPOINT-FILE]
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	log.SetFlags(0)
	verifier, err := note.NewVerifier(os.Args[1])
	check(err)
	dir := os.Args[2]
	head := open(filepath.Join(dir, "checkpoint"), verifier)
	reader := tlog.TileHashReader(head, directory(dir))
	entries := 0
	for entries < int(head.N) {
		for _, entry := range bundle(dir, entries, int(head.N)) {
			proof, err := tlog.ProveRecord(head.N, int64(entries), reader)
			check(err)
			check(tlog.CheckRecord(proof, head.N, head.Hash, int64(entries), tlog.RecordHash(entry)))
			entries++
		}
	}
	if len(os.Args) > 3 {
		earlier := open(os.Args[3], verifier)
		proof, err := tlog.ProveTree(head.N, earlier.N, reader)
		check(err)
		check(tlog.CheckTree(proof, head.N, head.Hash, earlier.N, earlier.Hash))
	}
	fmt.Printf("verified %d entries\n", entries)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func open(path string, verifier note.Verifier) tlog.Tree {
	signed, err := os.ReadFile(path)
	check(err)
	opened, err := note.Open(signed, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	if lines[0] != verifier.Name() {
		log.Fatalf("origin %q is not the key's name", lines[0])
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	return tlog.Tree{N: size, Hash: root}
}

func bundle(dir string, from, size int) [][]byte {
	tile := tlog.Tile{H: 8, L: -1, N: int64(from / 256), W: min(256, size-from)}
	path := strings.Replace(tile.Path(), "tile/8/data/", "tile/entries/", 1)
	data, err := os.ReadFile(filepath.Join(dir, path))
	check(err)
	var entries [][]byte
	for buffer := bytes.NewBuffer(data); buffer.Len() > 0; {
		length := int(binary.BigEndian.Uint16(buffer.Next(2)))
		entries = append(entries, buffer.Next(length))
	}
	if len(entries) != tile.W {
		log.Fatalf("%s has %d entries, not %d", path, len(entries), tile.W)
	}
	return entries
}

type directory string

func (d directory) Height() int { return 8 }

func (d directory) SaveTiles([]tlog.Tile, [][]byte) {}

func (d directory) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(string(d), path))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}
