# Shared by the scripts in this folder: what they need, and how it gets there. Sourced, not run.

# Debian packages that building, running and testing need; Docs/Dependencies.md says what for.
MAGPIE_PACKAGES=(
    libsodium-dev libseccomp-dev libsqlite3-dev crun conmon golang-github-containers-common
    iproute2 procps util-linux
    skopeo xz-utils zstd docker-registry openssl
)

# Debian packages that make tests tell more: isolation is compared with podman's, ordinary users have
# other users for their tasks, and the simulator's pages are looked at with a browser.
MAGPIE_TEST_PACKAGES=(podman uidmap chromium)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() {
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
    exit 1
}

require_swift() {
    command -v swift >/dev/null && return
    fail "Swift is missing. Install Swift 6.3 or later for this system from https://www.swift.org/install/linux/ and put 'swift' on the PATH; then run this script again."
}

# Those of the packages named that are missing.
missing_packages() {
    local package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            printf '%s\n' "$package"
    done
}

# Installs what only some tests want, where that is possible without a question; else says what that costs.
install_test_packages() {
    local missing
    mapfile -t missing < <(missing_packages "${MAGPIE_TEST_PACKAGES[@]}")
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        echo "Installing ${missing[*]} …"
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" \
            >/dev/null 2>&1 && return
    fi
    echo "NOT INSTALLED: ${missing[*]}. Tests that want it are skipped: isolation is checked, but compared with nobody's (podman), nodes of ordinary users are not tried out (uidmap), no browser looks at the pages of reports (chromium)." >&2
}

# Installs the Debian packages that are missing; asks for nothing when all are there.
install_packages() {
    local missing
    mapfile -t missing < <(missing_packages "${MAGPIE_PACKAGES[@]}")
    [ ${#missing[@]} -eq 0 ] && return
    command -v apt-get >/dev/null ||
        fail "missing: ${missing[*]}. This script installs them with apt-get, which is not here; install them by hand."
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            fail "missing: ${missing[*]}. Run as root: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    echo "Installing ${missing[*]} …"
    # The tests start a registry of their own on loopback; Debian's would listen on every address.
    local unit=/etc/systemd/system/docker-registry.service
    if [[ " ${missing[*]} " == *" docker-registry "* && -d /run/systemd/system && ! -e $unit ]]; then
        "${as_root[@]}" ln -s /dev/null "$unit"
        echo "docker-registry is masked as a service; to undo that: systemctl unmask docker-registry"
    fi
    export DEBIAN_FRONTEND=noninteractive
    "${as_root[@]}" apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1 || {
        "${as_root[@]}" apt-get update -q >/dev/null
        "${as_root[@]}" apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null
    } || fail "apt-get could not install ${missing[*]}"
}
