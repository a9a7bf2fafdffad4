# shellcheck shell=bash
# Shared by docker/engine, docker/toolchain/run, deploy/up, deploy/down and tests/run: messages, packages,
# finding an Engine, and the base image. Source it; it sets no shell options and runs nothing.

SENTINEL_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
# shellcheck disable=SC2034 # used by the scripts that source this file
SENTINEL_BASE_IMAGE="debian:trixie-slim"
ENGINE_RUN=/run/sentinel-engine
ENGINE_VAR=/var/lib/sentinel-engine
ENGINE_CACHE="$ENGINE_VAR/.cache"

say() { printf '%s\n' "$*" >&2; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

need_root() {
  [ "$(id -u)" = 0 ] || die "this needs root: run it with sudo, or set DOCKER_HOST to an Engine you may use"
}

os_release() { # FIELD -> its value in /etc/os-release, or nothing
  (
    # shellcheck disable=SC1091
    . /etc/os-release 2>/dev/null || true
    printf '%s' "${!1:-}"
  )
}

need_debian() {
  case " $(os_release ID) $(os_release ID_LIKE) " in
    *" debian "* | *" ubuntu "*) have apt-get && return 0 ;;
  esac
  die "installing an Engine is supported on Debian and Ubuntu only; install Docker yourself" \
    "(its socket at /var/run/docker.sock, or DOCKER_HOST set) and run this again"
}

need_space() { # DIRECTORY MIB
  local free
  free=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
  [ "$free" -ge "$2" ] || die "$1 has $free MiB free, $2 MiB are needed: free some space" \
    "or, with an Engine of ours, remove what it holds by 'docker system prune'"
}

# Installs packages without letting them start services: a package's own dockerd would put its rules
# into the machine's network namespace, which is what docker/engine exists to avoid.
apt_install() {
  local policy=/usr/sbin/policy-rc.d made="" status=0
  need_debian
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    made=1
  fi
  apt_quiet update || status=$?
  if [ "$status" = 0 ]; then
    DEBIAN_FRONTEND=noninteractive apt_quiet install -y --no-install-recommends "$@" || status=$?
  fi
  [ -z "$made" ] || rm -f "$policy"
  [ "$status" = 0 ] || die "could not install: $*. See the messages of apt-get above"
}

apt_quiet() { # apt-get, silent unless it fails
  local out
  if ! out=$(apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" 2>&1); then
    printf '%s\n' "$out" | tail -n 25 >&2
    return 1
  fi
}

# The Debian archive this machine already uses, else the one debootstrap knows.
debian_mirror() {
  local uri=""
  if [ -n "${SENTINEL_DEBIAN_MIRROR:-}" ]; then
    uri=$SENTINEL_DEBIAN_MIRROR
  else
    # shellcheck disable=SC2016 # these are apt's variables
    uri=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(RELEASE)' 'Created-By: Packages' \
      2>/dev/null | awk '$2 == "Debian" && $3 !~ /security/ { print $1; exit }')
    if [ -z "$uri" ]; then
      have debootstrap || apt_install debootstrap
      uri=$(sed -n 's/^DEF_MIRROR="\(.*\)"$/\1/p' "$(command -v debootstrap)" | head -n 1)
    fi
  fi
  [ -n "$uri" ] || die "no Debian archive is known here: set SENTINEL_DEBIAN_MIRROR to its address"
  printf '%s' "${uri%/}"
}

debian_keyring() {
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  [ -e "$keyring" ] || apt_install debian-archive-keyring
  printf '%s' "$keyring"
}

# Downloads packages of another Debian release and unpacks them, without touching the machine's own
# package database. apt verifies the release's signature as usual.
unpack_packages() { # SUITE DIRECTORY PACKAGE...
  local suite=$1 into=$2 apt mirror keyring deb
  shift 2
  apt="$ENGINE_CACHE/apt-$suite"
  mirror=$(debian_mirror)
  keyring=$(debian_keyring)
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/debs" "$into"
  printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$suite" >"$apt/sources.list"
  : >"$apt/status"
  local options=(
    -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=-
    -o "Dir::State::lists=$apt/lists" -o "Dir::State::status=$apt/status"
    -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root
  )
  apt_quiet "${options[@]}" update || die "the package lists of Debian $suite could not be fetched from $mirror"
  rm -f "$apt"/debs/*.deb
  (cd "$apt/debs" && apt_quiet "${options[@]}" download "$@") ||
    die "these packages of Debian $suite could not be fetched: $*"
  for deb in "$apt"/debs/*.deb; do
    dpkg -x "$deb" "$into"
  done
}

# The docker command is in docker.io up to Debian 12, in a package of its own from Debian 13 on.
ensure_docker_command() {
  have docker && return 0
  apt_install docker.io
  have docker || apt_install docker-cli
}

# Compose v2 and buildx for the docker command, from Debian 13 where the release has none.
ensure_cli() {
  ensure_docker_command
  ensure_plugin compose docker-compose
  ensure_plugin buildx docker-buildx
}

ensure_plugin() { # NAME PACKAGE
  local target=/usr/local/lib/docker/cli-plugins from
  docker "$1" version >/dev/null 2>&1 && return 0
  [ "$(id -u)" = 0 ] || die "'docker $1' is missing: install Docker's $1 plugin"
  say "installing the docker $1 plugin"
  unpack_packages trixie "$ENGINE_CACHE/plugins" "$2"
  from="$ENGINE_CACHE/plugins/usr/libexec/docker/cli-plugins/docker-$1"
  [ -x "$from" ] || die "the package $2 holds no plugin where it was expected ($from)"
  mkdir -p "$target"
  install -m 755 "$from" "$target/docker-$1"
  docker "$1" version >/dev/null || die "'docker $1' does not run on this machine"
}

engine_answers() { # [HOST]
  DOCKER_HOST=${1:-${DOCKER_HOST:-}} timeout 20 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

# Finds an Engine: DOCKER_HOST, the default socket, ours, the docker command's context. Exports DOCKER_HOST and the three variables of
# the Compose stack. Returns 1 when there is none.
find_engine() {
  local host
  # A shell that has `docker/engine env` still names our Engine after it was stopped: it is to be started again.
  if [ "${DOCKER_HOST:-}" = "unix://$ENGINE_RUN/default/docker.sock" ] && ! [ -S "$ENGINE_RUN/default/docker.sock" ]; then
    unset DOCKER_HOST
  fi
  if [ -n "${DOCKER_HOST:-}" ]; then
    engine_answers || die "DOCKER_HOST is $DOCKER_HOST, but no Engine answers there: start it, or unset DOCKER_HOST"
  elif [ -S /var/run/docker.sock ] && engine_answers unix:///var/run/docker.sock; then
    export DOCKER_HOST=unix:///var/run/docker.sock
  elif [ -S "$ENGINE_RUN/default/docker.sock" ] && engine_answers "unix://$ENGINE_RUN/default/docker.sock"; then
    use_engine default
    return 0
  elif host=$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null) &&
    [ "$host" != unix:///var/run/docker.sock ] && engine_answers "$host"; then
    export DOCKER_HOST=$host
  else
    for host in /var/run/docker.sock "$ENGINE_RUN/default/docker.sock"; do
      if [ -S "$host" ] && [ ! -w "$host" ]; then
        die "an Engine's socket is at $host, but you may not use it: run this with sudo, or join the group" \
          "'$(stat -Lc %G "$host")'"
      fi
    done
    return 1
  fi
  case "$DOCKER_HOST" in
    "unix://$ENGINE_RUN/"*)
      local name=${DOCKER_HOST#"unix://$ENGINE_RUN/"}
      use_engine "${name%%/*}"
      ;;
    unix://*)
      export SENTINEL_DOCKER_SOCKET=${SENTINEL_DOCKER_SOCKET:-${DOCKER_HOST#unix://}}
      SENTINEL_DOCKER_GID=${SENTINEL_DOCKER_GID:-$(stat -Lc %g "$SENTINEL_DOCKER_SOCKET")}
      export SENTINEL_DOCKER_GID SENTINEL_BIND=${SENTINEL_BIND:-127.0.0.1}
      ;;
    *)
      # A remote Engine: its socket is on its own machine, where we cannot look.
      export SENTINEL_DOCKER_SOCKET=${SENTINEL_DOCKER_SOCKET:-/var/run/docker.sock}
      export SENTINEL_DOCKER_GID=${SENTINEL_DOCKER_GID:-0} SENTINEL_BIND=${SENTINEL_BIND:-127.0.0.1}
      ;;
  esac
}

use_engine() { # NAME
  local exports
  exports=$("$SENTINEL_ROOT/docker/engine" --name "$1" env) || return 1
  eval "$exports"
}

# An Engine for whoever calls: the one there is, or one we install and start (ENGINE_STARTED is set then).
ensure_engine() {
  if have docker && find_engine; then
    ensure_cli
    return 0
  fi
  [ "$(id -u)" = 0 ] || die "no Engine was found and you are not root: run this with sudo to install and start one," \
    "or set DOCKER_HOST to an Engine you may use"
  need_debian
  "$SENTINEL_ROOT/docker/engine" start
  # shellcheck disable=SC2034 # deploy/up leaves a mark by it, for deploy/down
  ENGINE_STARTED=1
  use_engine default
  ensure_cli
}

# The base image: here already, pulled, or made from the distribution's packages.
ensure_base_image() {
  local root="$ENGINE_CACHE/trixie-root"
  docker image inspect "$SENTINEL_BASE_IMAGE" >/dev/null 2>&1 && return 0
  if timeout 120 docker pull -q "$SENTINEL_BASE_IMAGE" >/dev/null 2>&1; then
    return 0
  fi
  [ "$(id -u)" = 0 ] || die "$SENTINEL_BASE_IMAGE is neither here nor can it be pulled: load it into the Engine," \
    "or run this with sudo to make it from Debian's packages"
  need_debian
  say "no registry answers: making $SENTINEL_BASE_IMAGE from Debian's packages"
  have debootstrap || apt_install debootstrap
  mkdir -p "$ENGINE_CACHE"
  if [ ! -e "$root.tar" ]; then
    need_space "$ENGINE_CACHE" 2048
    rm -rf --one-file-system "$root"
    debootstrap --variant=minbase --keyring="$(debian_keyring)" trixie "$root" "$(debian_mirror)" >"$root.log" 2>&1 ||
      die "debootstrap failed; the end of $root.log: $(tail -n 3 "$root.log")"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    tar -C "$root" -c . >"$root.tar.new"
    mv "$root.tar.new" "$root.tar"
    rm -rf --one-file-system "$root"
  fi
  docker import -c 'CMD ["bash"]' "$root.tar" "$SENTINEL_BASE_IMAGE" >/dev/null
}

# Options for every docker build of ours: the host's proxy as build arguments, its CA bundle as a secret.
# Fills the array BUILD_OPTIONS.
build_options() {
  local variable bundle
  BUILD_OPTIONS=()
  for variable in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    [ -z "${!variable:-}" ] || BUILD_OPTIONS+=(--build-arg "$variable")
  done
  bundle=$(ca_bundle)
  [ -z "$bundle" ] || BUILD_OPTIONS+=(--secret "id=ca,src=$bundle")
}

ca_bundle() { # the host's own CA bundle, where it has one
  local file
  for file in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt; do
    if [ -n "$file" ] && [ -r "$file" ]; then
      printf '%s' "$file"
      return
    fi
  done
}

# The image that builds and tests us, named by what it is made from. Sets TOOLCHAIN_IMAGE.
ensure_toolchain() {
  local files="$SENTINEL_ROOT/docker/toolchain" digest
  digest=$(cat "$files/Dockerfile" "$files/build-curl" | sha256sum)
  TOOLCHAIN_IMAGE="sentinel-toolchain:${digest:0:12}"
  docker image inspect "$TOOLCHAIN_IMAGE" >/dev/null 2>&1 && return 0
  ensure_base_image
  say "building the toolchain image (a few minutes, once)"
  build_options
  DOCKER_BUILDKIT=1 docker build --progress plain "${BUILD_OPTIONS[@]}" -t "$TOOLCHAIN_IMAGE" \
    "$SENTINEL_ROOT/docker/toolchain" >&2 || die "the toolchain image could not be built; the reason is above"
}

# The image that builds and tests the dashboard, named by what it is made from. Sets UI_IMAGE.
ensure_ui_image() {
  local files=(docker/images/Dockerfile monitor/web/ui/package.json monitor/web/ui/package-lock.json
    tests/ui/package.json tests/ui/package-lock.json) digest
  digest=$(cd "$SENTINEL_ROOT" && cat "${files[@]}" | sha256sum)
  UI_IMAGE="sentinel-ui:${digest:0:12}"
  docker image inspect "$UI_IMAGE" >/dev/null 2>&1 && return 0
  ensure_base_image
  say "building the image for the dashboard (a few minutes, once)"
  build_options
  tar -C "$SENTINEL_ROOT" -c "${files[@]}" |
    DOCKER_BUILDKIT=1 docker build --progress plain "${BUILD_OPTIONS[@]}" -t "$UI_IMAGE" \
      --target ui-tests -f docker/images/Dockerfile - >&2 ||
    die "the image for the dashboard could not be built; the reason is above"
}

# Options that give a container every privilege this machine can give. --privileged asks for all
# capabilities and fails where the machine itself lacks one, as small virtual machines do.
# Fills the array PRIVILEGE_OPTIONS.
privilege_options() {
  local bounding last bit
  local names=(CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT
    SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE
    AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ)
  bounding=$((16#$(awk '/^CapBnd/ { print $2 }' /proc/self/status)))
  last=$(cat /proc/sys/kernel/cap_last_cap)
  PRIVILEGE_OPTIONS=(--privileged)
  [ "$bounding" != $(((1 << (last + 1)) - 1)) ] || return 0
  PRIVILEGE_OPTIONS=(--security-opt seccomp=unconfined --security-opt apparmor=unconfined
    --security-opt systempaths=unconfined --device-cgroup-rule 'a *:* rwm' --cap-drop ALL)
  for bit in "${!names[@]}"; do
    if [ "$bit" -le "$last" ] && [ $(((bounding >> bit) & 1)) = 1 ]; then
      PRIVILEGE_OPTIONS+=(--cap-add "${names[bit]}")
    fi
  done
}
