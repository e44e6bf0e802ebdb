#!/usr/bin/env bash
# Runs every test on a fresh machine, installing what it needs. Usage: ./test.sh [unit|lint|python|scenarios|threads|fuzz]...
# KFOPS_FUZZ_SECONDS: seconds per fuzz target (default 10, 60 in CI), KFOPS_FUZZ_WALL: of all together (default 480; 0: no
# end). KFOPS_SHARED: folder with published
# specifications and samples; tests that need it are skipped where it is not.
set -u
cd "$(dirname "$0")" || exit 1
. scripts/setup.sh || exit 1
set +e
root=$PWD
fuzz_wall=${KFOPS_FUZZ_WALL:-480}
build=${KFOPS_BUILD_ROOT:-$root/build}
results=$build/results
fuzz_seconds=${KFOPS_FUZZ_SECONDS:-$([ "${CI:-}" = true ] && echo 60 || echo 10)}
[ -n "${KFOPS_SHARED:-}" ] || { [ -d "$root/../shared/samples" ] && export KFOPS_SHARED="$root/../shared"; }
export KFOPS_SOURCE_DIR=$root
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
rm -rf "$results"
mkdir -p "$results"
what=${*:-lint unit python scenarios threads fuzz}
jobs=$(nproc)

say() { printf '\n== %s\n' "$*"; }
note_failure() { # name: a step that is no test runner has failed
  printf '<testsuite><testcase classname="build" name="%s"><failure/></testcase></testsuite>' "$1" >"$results/$1.xml"
}
make_build() { # dir "targets" options...
  local dir=$1 targets=$2; shift 2
  cmake -S . -B "$dir" -G Ninja "$@" >"$dir.log" 2>&1 && ninja -C "$dir" $targets >>"$dir.log" 2>&1 ||
    { tail -40 "$dir.log"; note_failure "$(basename "$dir")"; return 1; }
}
targets_in() { # folders...: the programs that are made of their files
  find "$@" -name 'test_*.c' -o -name 'fuzz_*.c' | sed 's|.*/||; s|\.c$||'
}
# A test that needs a second try is told apart from one that fails: its name is printed either way.
run_pytest() { # name paths...
  local name=$1; shift
  local cache="$build/pytest-$name"
  rm -rf "$cache"
  "$KFOPS_PYTHON" -m pytest -q -o cache_dir="$cache" "$@" --junitxml="$results/$name.xml" && return
  say "$name: what failed, once more"
  "$KFOPS_PYTHON" -m pytest -q -o cache_dir="$cache" --last-failed "$@" -n 0 --junitxml="$results/$name-again.xml" &&
    "$KFOPS_PYTHON" tests/second_try.py "$results/$name.xml" "$results/$name-again.xml"
  rm -f "$results/$name-again.xml"
}
run_ctest() { # name build options...
  local name=$1 dir=$2; shift 2
  ctest --test-dir "$dir" -j "$jobs" "$@" --output-on-failure --output-junit "$results/$name.xml" && return
  say "$name: what failed, once more"
  ctest --test-dir "$dir" --rerun-failed --output-on-failure --output-junit "$results/$name-again.xml" &&
    "$KFOPS_PYTHON" tests/second_try.py "$results/$name.xml" "$results/$name-again.xml"
  rm -f "$results/$name-again.xml"
}
times=""
since=$SECONDS
lap() { times+=" $1 $((SECONDS - since)) s,"; since=$SECONDS; }
mkdir -p "$build"
case " $what " in *" unit "*|*" scenarios "*|*" lint "*)
  say "build with AddressSanitizer and UndefinedBehaviorSanitizer"
  make_build "$build/asan" all -DSANITIZE=address,undefined || what=$(sed 's/unit\|scenarios//g' <<<"$what")
  lap build ;;
esac
for step in $what; do
  case $step in
  lint)
    say "lint"
    KFOPS_BUILD=$build/asan run_pytest lint tests/lint ;;
  unit)
    say "unit tests"
    run_ctest unit "$build/asan" ;;
  python)
    say "the compiler package and the stand-ins"
    PYTHONPATH=deploy/compiler run_pytest compiler -n "$jobs" --dist worksteal deploy/compiler/tests
    run_pytest standins -n "$jobs" --dist worksteal tests/standins ;;
  scenarios)
    say "the release build, scenarios, crash points, the demo, the S3 server"
    make_build "$build/demo" kfopsd -DFAULTS=OFF
    KFOPS_BUILD=$build/asan KFOPS_BUILD_ROOT=$build \
      run_pytest scenarios -n $((jobs + 2)) --dist worksteal tests/scenarios tests/crash tests/services ;;
  threads)
    say "ThreadSanitizer: writer, worker, store"
    make_build "$build/tsan" "$(targets_in tests/unit/bot tests/unit/store)" -DSANITIZE=thread &&
      run_ctest threads "$build/tsan" -R '^(bot|store)\.' ;;
  fuzz)
    say "fuzz, $fuzz_seconds s a target"
    CC=clang make_build "$build/fuzz" "$(targets_in tests/fuzz)" -DFUZZ=ON &&
      "$KFOPS_PYTHON" tests/fuzz/run.py --build "$build/fuzz" --seconds "$fuzz_seconds" --wall "$fuzz_wall" --jobs "$jobs" --junitxml "$results/fuzz.xml" ;;
  *) echo "unknown step: $step" >&2; exit 64 ;;
  esac
  lap "$step"
done
"$KFOPS_PYTHON" tests/attacks.py "$results"/*.xml >"$build/attacks.md" || say "an attack got through: $build/attacks.md"
say "result"
echo "took:${times%,}"
exec "$KFOPS_PYTHON" tests/summary.py "$results"/*.xml
