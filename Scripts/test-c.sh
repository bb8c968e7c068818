#!/usr/bin/env bash
# Builds the C examples against the built library with strict flags, and runs them: the merge over its
# own result too, the search and the optimizer once fresh and once from their finished journals. Then
# checks that every CPU level writes the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for compiler in "gcc -std=c99" "g++ -std=c++17 -x c++"; do
  $compiler -Wall -Wextra -pedantic -Werror -Iinclude examples/c/search.c -x none \
    -Lbuild/lib -ldfmerge -lm -o "$work/search"
  for _ in fresh again; do
    LD_LIBRARY_PATH=build/lib "$work/search" "$work/search.jsonl" "$work/merged.safetensors" |
      tail -n 1
  done
  rm "$work/search.jsonl"
  $compiler -Wall -Wextra -pedantic -Werror -Iinclude examples/c/optimize.c -x none \
    -Lbuild/lib -ldfmerge -lm -o "$work/optimize"
  for _ in fresh again; do
    LD_LIBRARY_PATH=build/lib "$work/optimize" "$work/optimize.jsonl" | tail -n 1
  done
  rm "$work/optimize.jsonl"
  $compiler -Wall -Wextra -pedantic -Werror -Iinclude examples/c/merge.c -x none \
    -Lbuild/lib -ldfmerge -o "$work/merge"
  for _ in fresh again; do
    LD_LIBRARY_PATH=build/lib "$work/merge" "$work" | grep -F '100 % of'
  done
  rm -r "$work/merged"
done

for level in 2 3 4; do
  DFMERGE_CPU_LEVEL=$level LD_LIBRARY_PATH=build/lib \
    "$work/search" "$work/$level.jsonl" "$work/$level.safetensors" >/dev/null
  cmp "$work/merged.safetensors" "$work/$level.safetensors"
done
