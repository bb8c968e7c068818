#!/usr/bin/env bash
# Builds and runs the tests of the C++ wrapper against an installed prefix:
#
#     test-cpp.sh PREFIX TESTS GUIDE OBJECTS
#
# TESTS is a copy of Tests/cpp, GUIDE the folder that code_blocks.py made of docs/cpp.md, OBJECTS a
# folder for what is built. With g++ for C++17 and C++20, and with clang++ under AddressSanitizer,
# LeakSanitizer and UndefinedBehaviorSanitizer. Two processes at a time.
set -euo pipefail
prefix=$1 tests=$2 guide=$3 objects=$4

fail() {
  echo "test-cpp.sh: error: $*" >&2
  exit 1
}

common=(-Wall -Wextra -pedantic -Werror "-I$prefix/include" "-I$tests" -pthread)
link=("-L$prefix/lib" -ldfmerge "-Wl,-rpath,$prefix/lib")
sanitize=(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
# The largest first.
mapfile -t units < <(cd "$tests" && ls -S -- *_test.cpp second_unit.cpp main.cpp | sed 's/\.cpp$//')

# One line for each file to compile: its command. The slow ones come first.
jobs=$objects/jobs
: >"$jobs"
job() { printf '%q ' "$@" >>"$jobs" && printf '\n' >>"$jobs"; }
for unit in "${units[@]}"; do
  for variant in gcc17 gcc20 clang17; do
    mkdir -p "$objects/$variant"
    case $variant in
      gcc17) compiler=(g++ -std=c++17) ;;
      gcc20) compiler=(g++ -std=c++20) ;;
      clang17) compiler=(clang++ -std=c++17 "${sanitize[@]}") ;;
    esac
    job "${compiler[@]}" "${common[@]}" -c "$tests/$unit.cpp" -o "$objects/$variant/$unit.o"
  done
done
for variant in gcc17 gcc20 clang17; do
  case $variant in
    gcc17) compiler=(g++ -std=c++17) ;;
    gcc20) compiler=(g++ -std=c++20 -DDFMERGE_NO_EXCEPTIONS) ;;
    clang17) compiler=(clang++ -std=c++17 "${sanitize[@]}") ;;
  esac
  job "${compiler[@]}" -fno-exceptions -fno-rtti "${common[@]}" -c "$tests/no_exceptions.cpp" \
    -o "$objects/$variant/no_exceptions.o"
done
job clang++ -std=c++20 -fno-exceptions -fno-rtti -DDFMERGE_TESTS_OWN_MAIN "${common[@]}" \
  "$tests/no_exceptions.cpp" "${link[@]}" -o "$objects/no_exceptions"
job g++ -std=c++17 "${common[@]}" "$tests/wrong_library.cpp" "${link[@]}" -o "$objects/wrong_library"
job clang++ -std=c++17 "${sanitize[@]}" -fuse-ld=lld "${common[@]}" "$guide/blocks.cpp" "${link[@]}" \
  -o "$objects/blocks"
for file in "$guide"/plain-*.cpp; do
  job g++ -std=c++17 -fno-exceptions -fno-rtti "${common[@]}" "$file" "${link[@]}" \
    -o "$objects/$(basename "$file" .cpp)"
done
# 255 makes xargs stop at the first that fails.
sed -i 's/$/ || exit 255/' "$jobs"
xargs -P 2 -d '\n' -n 1 bash -c <"$jobs" || fail "something does not compile; see above"

g++ "$objects"/gcc17/*.o "${link[@]}" -pthread -o "$objects/gcc17/tests"
g++ "$objects"/gcc20/*.o "${link[@]}" -pthread -o "$objects/gcc20/tests"
clang++ "${sanitize[@]}" -fuse-ld=lld "$objects"/clang17/*.o "${link[@]}" -pthread \
  -o "$objects/clang17/tests"

for variant in gcc17 gcc20 clang17; do
  TMPDIR=$objects "$objects/$variant/tests" --no-version >"$objects/out" || {
    cat "$objects/out" >&2
    fail "the wrapper's tests fail ($variant)"
  }
  echo "wrapper, $variant: $(sed -n 's/^\[doctest\] test cases: *//p' "$objects/out")"
done
"$objects/no_exceptions"
"$objects/wrong_library"
(cd "$guide" && "$objects/blocks" >/dev/null) || fail "a block of docs/cpp.md does not run as printed"
for file in "$guide"/plain-*.cpp; do "$objects/$(basename "$file" .cpp)"; done

# ---- What must not compile: mistakes that would otherwise show at run time ---------------------------

refused() { # what the compiler must say, then the statements
  printf '#include <dfmerge.hpp>\n#include <array>\n#include <vector>\nvoid f(dfmerge::weights &w, dfmerge::search &s) {\n%s\n}\n' \
    "$2" >"$objects/wrong.cpp"
  if g++ -std=c++17 "${common[@]}" -Wno-unused -fsyntax-only "$objects/wrong.cpp" 2>"$objects/out"; then
    fail "this should not compile: $2"
  fi
  grep -q "$1" "$objects/out" || { cat "$objects/out" && fail "this is refused for another reason: $2"; }
}
refused 'pass something that stays in place' 'w.add("w", std::vector<float>{1, 2});'
refused 'pass something that stays in place' 'w.add("w", std::array<float, 2>{1, 2});'
refused 'invalid conversion\|cannot convert\|no matching' \
  'const std::vector<float> v(2); w.add_writable("w", v);'
refused 'dtype_of' 'std::vector<char> v(2); w.add("w", v);'
refused 'deleted' 's.set_evaluate([] { return true; });'
refused 'this callback returns' 's.set_progress([](const dfmerge::progress &) { return 1; });'
refused 'deleted' 'dfmerge::weights copy = w;'
refused 'nodiscard' 'w.try_describe();'
echo "wrapper: without exceptions, with another library, the guide's blocks, and 8 refusals"
