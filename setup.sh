#!/usr/bin/env bash
# From a bare Debian or Ubuntu machine to a ready .venv: system packages, Python packages, this project. Repeating it
# takes about a second. Usage: ./setup.sh [cpu|gpu]   PYTHON=python3.12 ./setup.sh   (default: cpu, python3)
set -euo pipefail
cd "$(dirname "$0")"

hardware=${1:-cpu}
python=${PYTHON:-python3}
venv=.venv

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

case $hardware in cpu | gpu) ;; *) die "expected cpu or gpu, found '$hardware'" ;; esac

has_browser() {
  command -v chromium-headless-shell || command -v chromium || command -v chromium-browser || command -v google-chrome ||
    ls "${PLAYWRIGHT_BROWSERS_PATH:-$HOME/.cache/ms-playwright}"/chromium-*/
} >/dev/null 2>&1

# Only tests need an engine, those of container environments: WITH_DOCKER=1 ./setup.sh
has_docker() {
  [ -z "${WITH_DOCKER:-}" ] || { command -v dockerd && command -v busybox; }
} >/dev/null 2>&1

stamp=$(cat pyproject.toml constraints.txt setup.sh | sha256sum | cut -d' ' -f1)-$hardware
if [ -x $venv/bin/rl-loop ] && [ "$(cat $venv/.ready 2>/dev/null)" = "$stamp" ] && has_browser && has_docker; then
  say "ready ($venv)"
  exit 0
fi

# --- system packages ------------------------------------------------------------------------------------------------
missing=()
command -v "$python" >/dev/null || missing+=(python3)
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
# The headless shell makes a page in a quarter of the time that the full browser takes; Debian has both.
has_browser || missing+=(chromium-headless-shell fonts-liberation)
command -v setpriv >/dev/null || missing+=(util-linux)
# For several masters, and the tests. Debian starts a service with it, on port 6379; nothing of ours uses that one.
command -v redis-server >/dev/null || missing+=(redis-server)
# Before several masters, and the tests of its configuration. Debian keeps it where only root's PATH leads.
PATH=$PATH:/usr/sbin command -v nginx >/dev/null || missing+=(nginx-light)
has_docker || missing+=(docker.io busybox-static)

root=()
can_install=no
if command -v apt-get >/dev/null; then
  if [ "$(id -u)" = 0 ]; then can_install=yes
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then can_install=yes; root=(sudo); fi
fi

install() {
  for package in "$@"; do
    # One by one: Ubuntu has no headless shell, and its chromium only points to a snap; Playwright's own is fetched below.
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null ||
      say "apt-get could not install $package"
  done
}

system_packages=
if [ ${#missing[@]} -gt 0 ]; then
  if [ $can_install = yes ]; then
    say "installing system packages: ${missing[*]}"
    "${root[@]}" apt-get update -qq
    for package in "${missing[@]}"; do case $package in python3*) install "$package" ;; *) others+=("$package") ;; esac; done
    # Beside pip, which uses one core and does not need them.
    if [ -n "${others[*]:-}" ]; then install "${others[@]}" & system_packages=$!; fi
  else
    for package in "${missing[@]}"; do
      case $package in chromium-headless-shell | fonts-liberation | redis-server | nginx-light | docker.io | busybox-static) ;; *) needed+=("$package") ;; esac
    done
    [ -z "${needed[*]:-}" ] || die "these system packages are missing and I may not install them: ${needed[*]}. Install them and run this again."
  fi
fi

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
case $version in 3.11 | 3.12) ;; *) die "Python 3.11 or 3.12 is needed, $python is $version; set PYTHON to another one" ;; esac

# --- Python packages ------------------------------------------------------------------------------------------------
[ -x $venv/bin/python ] || "$python" -m venv $venv
say "installing Python packages (some minutes the first time)"
$venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -e ".[$hardware,dev]" -c constraints.txt || failed=yes
[ -z "$system_packages" ] || wait "$system_packages"
[ -z "${failed:-}" ] \
  || die "pip could not install the packages. The CPU build of torch may need PyTorch's CPU wheel index: see README, Set-up."

# pip would compile the modules on one core, and the packages' own tests with them. Some files are for another Python.
$venv/bin/python -W ignore -m compileall -q -j 0 -x '/tests?/' $venv/lib >/dev/null 2>&1 || true

# --- a browser ------------------------------------------------------------------------------------------------------
if ! has_browser; then
  say "no Chromium on the PATH, fetching Playwright's own"
  $venv/bin/python -m playwright install chromium >/dev/null 2>&1 || true
  has_browser || die "there is no Chromium and none could be fetched; install the package chromium and run this again."
fi

echo "$stamp" >$venv/.ready
say "ready ($venv)"
