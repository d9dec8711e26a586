#!/usr/bin/env bash
# Runs in a guest, in a mount namespace of its own: one provider, by providers.sh.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
corpus=/srv/corpus

need() {
    [ -e /var/lib/apt/lists/lock ] && ls /var/lib/apt/lists | grep -q _Packages || apt-get update -qq
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1
}

# Makes programs disappear for what runs in this namespace.
hide() {
    local program path
    for program in "$@"; do
        for path in /usr/bin /usr/sbin /bin /sbin; do
            [ -e "$path/$program" ] && mount --bind /dev/null "$path/$program" || true
        done
    done
}
no_apt() {
    hide apt-get dpkg dpkg-query
    mkdir -p /tmp/nothing
    mount --bind /tmp/nothing /var/lib/dpkg
}
no_systemd() {
    mount -t tmpfs tmpfs /run
    hide systemctl
}

# apply NAME: the SLS on standard input, once with changes, once without.
apply() {
    mkdir -p /srv/salt
    cat >"/srv/salt/$1.sls"
    local run changed
    for run in first second; do
        $corpus --local --out=json state.sls "$1" >/tmp/out.json || { cat /tmp/out.json; echo "$1: $run run failed"; exit 1; }
        changed=$(python3 -c 'import json; r = next(iter(json.load(open("/tmp/out.json")).values())); print(sum(bool(s["changes"]) for s in r.values()), len(r))')
        echo "$1: $run run: $changed"
        case $run in first) [ "${changed% *}" = "${changed#* }" ] ;; second) [ "${changed% *}" = 0 ] ;; esac ||
            { cat /tmp/out.json; exit 1; }
    done
}
call() { $corpus --local --out=newline_values_only "$@"; }
# is WHAT EXPECTED: compares the two.
is() { [ "$1" = "$2" ] || { echo "got '$1', not '$2'"; exit 1; }; }

rpm_repo() {
    [ -e /srv/rpms/repodata ] && return
    need rpm createrepo-c
    mkdir -p /srv/rpms
    local name version more
    while read -r name version more; do
        printf 'Name: %s\nVersion: %s\nRelease: 1\nSummary: lab\nLicense: none\nBuildArch: noarch\n%s\n%%description\nlab\n%%files\n' \
            "$name" "$version" "$more" >/tmp/x.spec
        rpmbuild --quiet -bb --define "_rpmdir /srv/rpms" --define "_dbpath /tmp/rpmdb" /tmp/x.spec >/dev/null 2>&1
    done <<'L'
lab-a 1.0
lab-a 2.0
lab-b 1.0 Requires: lab-dep
lab-dep 1.0
L
    # rpmbuild has no epoch in a version.
    printf 'Name: lab-c\nEpoch: 3\nVersion: 1.0\nRelease: 1\nSummary: lab\nLicense: none\nBuildArch: noarch\n%%description\nlab\n%%files\n' >/tmp/x.spec
    rpmbuild --quiet -bb --define "_rpmdir /srv/rpms" --define "_dbpath /tmp/rpmdb" /tmp/x.spec >/dev/null 2>&1
    createrepo_c -q /srv/rpms
}

rpm_states() {
    apply "$1-install" <<'S'
lab:
  pkgrepo.managed:
    - humanname: Lab
    - baseurl: file:///srv/rpms
    - gpgcheck: 0
    - refresh: False
lab-a:
  pkg.installed:
    - version: 1.0-1
lab-b:
  pkg.installed: []
lab-c:
  pkg.installed: []
S
    is "$(call pkg.version lab-a)" 1.0-1
    is "$(call pkg.version lab-dep)" 1.0-1
    is "$(call pkg.version lab-c)" 3:1.0-1
    is "$(call pkg.latest_version lab-a)" 2.0-1
    apply "$1-latest" <<'S'
lab-a:
  pkg.latest: []
lab-dep:
  pkg.removed: []
S
    is "$(call pkg.version lab-a)" 2.0-1
    is "$(call pkg.version lab-b)" ''
    apply "$1-gone" <<'S'
gone:
  pkg.purged:
    - pkgs: [lab-a, lab-c]
lab:
  pkgrepo.absent: []
S
}

provide_dnf() {
    rpm_repo
    need dnf
    mkdir -p /etc/yum.repos.d /var/lib/rpm
    rpm --initdb
    no_apt
    rpm_states dnf
}

provide_zypper() {
    rpm_repo
    need zypper
    # Debian's rpm keeps its database in the user's home, where zypper does not look.
    mkdir -p /etc/zypp/repos.d /var/lib/rpm /etc/rpm
    echo '%_dbpath /var/lib/rpm' >/etc/rpm/macros
    rpm --initdb
    no_apt
    hide dnf dnf5 dnf-3
    rpm_states zypper
}

provide_pacman() {
    need pacman-package-manager makepkg libarchive-tools zstd
    mkdir -p /srv/arch /var/lib/pacman
    local name version more
    while read -r name version more; do
        rm -rf /tmp/p && mkdir -p "/tmp/p/usr/share/$name" && echo "$version" >"/tmp/p/usr/share/$name/version"
        printf 'pkgname = %s\npkgver = %s\npkgdesc = lab\nbuilddate = 1700000000\nsize = 1\narch = any\n' "$name" "$version" >/tmp/p/.PKGINFO
        [ -z "$more" ] || echo "$more" >>/tmp/p/.PKGINFO
        (cd /tmp/p && bsdtar -czf "/srv/arch/$name-$version-any.pkg.tar.gz" .PKGINFO usr)
    done <<'L'
lab-a 1.0-1
lab-a 2.0-1
lab-b 1.0-1 depend = lab-dep
lab-dep 1.0-1
L
    (cd /srv/arch && repo-add -q lab.db.tar.gz lab-a-1.0-1-any.pkg.tar.gz lab-b-*.gz lab-dep-*.gz) >/dev/null
    printf '[options]\nArchitecture = auto\nSigLevel = Never\n[lab]\nServer = file:///srv/arch\n' >/etc/pacman.conf
    no_apt
    hide dnf dnf5 dnf-3 zypper yum
    apply pacman-install <<'S'
lab-a:
  pkg.installed:
    - refresh: True
lab-b:
  pkg.installed: []
S
    is "$(call pkg.version lab-a)" 1.0-1
    is "$(call pkg.version lab-dep)" 1.0-1
    (cd /srv/arch && repo-add -q lab.db.tar.gz lab-a-2.0-1-any.pkg.tar.gz) >/dev/null
    # pacman tells a newer list by its time, in seconds.
    touch -d '1 minute' /srv/arch/lab.db.tar.gz
    apply pacman-latest <<'S'
lab-a:
  pkg.latest:
    - refresh: True
lab-b:
  pkg.removed: []
S
    is "$(call pkg.version lab-a)" 2.0-1
}

service_states() {
    apply "$1-start" <<'S'
lab:
  service.running:
    - enable: True
S
    is "$(call service.status lab)" True
    is "$(call service.enabled lab)" True
    is "$(call service.available nothing-such)" False
    local before
    before=$(pgrep -f 'sleep 98765')
    call service.restart lab >/dev/null
    sleep 0.5
    [ "$(pgrep -f 'sleep 98765')" != "$before" ] || { echo "not restarted"; exit 1; }
    apply "$1-stop" <<'S'
lab:
  service.dead:
    - enable: False
S
    is "$(call service.status lab)" False
    is "$(call service.enabled lab)" False
}

provide_openrc() {
    need openrc
    no_systemd
    hide sv
    # What OpenRC's boot makes.
    mkdir -p /run/openrc/{starting,started,stopping,inactive,wasinactive,failed,hotplugged,daemons,options,exclusive,scheduled,init.d,tmp}
    printf '#!/sbin/openrc-run\ncommand=/bin/sleep\ncommand_args=98765\ncommand_background=true\npidfile=/run/lab.pid\n' >/etc/init.d/lab
    chmod 755 /etc/init.d/lab
    touch /run/openrc/softlevel
    service_states openrc
    rm /etc/init.d/lab
}

provide_runit() {
    need runit
    no_systemd
    hide rc-service
    mkdir -p /etc/sv/lab /etc/service
    printf '#!/bin/sh\nexec sleep 98765\n' >/etc/sv/lab/run
    chmod 755 /etc/sv/lab/run
    runsvdir -P /etc/service >/dev/null 2>&1 &
    service_states runit
    kill %1
}

"provide_$1"
