#!/usr/bin/env bash
# busybox.sh: accounts by busybox' own tools, as on Alpine without shadow. Debian's busybox lacks them: it is built from the
# source of Debian's package, with Alpine's options, and run in a mount namespace of its own over a copy of /etc.
#
#   busybox.sh CORPUS
#
# As root. Groups and users are made, changed and removed by states, each twice: the second run must be empty.
set -euo pipefail
[ $# = 1 ] || { sed -n '2,7p' "$0" | sed 's/^# \?//'; exit 2; }
CORPUS=$(readlink -f "$1")
VERSION=1.35.0
if [ -z "${IN_NAMESPACE:-}" ]; then
    work=$(mktemp -d /var/tmp/corpus-busybox-XXXXXX)
    trap 'rm -rf "$work"' EXIT
    uri=$(apt-get --print-uris download busybox | cut -d"'" -f2)
    curl -fsS "${uri%/*}/busybox_$VERSION.orig.tar.bz2" | tar xj -C "$work"
    cd "$work/busybox-$VERSION"
    make allnoconfig >/dev/null
    for _ in 1 2; do
        for option in ADDUSER ADDGROUP DELUSER DELGROUP FEATURE_ADDUSER_TO_GROUP FEATURE_DEL_USER_FROM_GROUP CHPASSWD \
            FEATURE_SHADOWPASSWDS USE_BB_PWD_GRP USE_BB_SHADOW LONG_OPTS BUSYBOX USE_BB_CRYPT USE_BB_CRYPT_SHA; do
            sed -i "s/^# CONFIG_$option is not set/CONFIG_$option=y/" .config
        done
        sed -i 's/^CONFIG_LAST_ID=.*/CONFIG_LAST_ID=60000/; s/^CONFIG_FIRST_SYSTEM_ID=.*/CONFIG_FIRST_SYSTEM_ID=100/
            s/^CONFIG_LAST_SYSTEM_ID=.*/CONFIG_LAST_SYSTEM_ID=999/' .config
        (yes "" || true) | make oldconfig >/dev/null 2>&1 || true
    done
    make -j"$(nproc)" busybox >make.log 2>&1 || { tail make.log; exit 1; }
    IN_NAMESPACE=$work unshare -m --propagation private bash "$(readlink -f "$OLDPWD/$0" 2>/dev/null || readlink -f "$0")" "$CORPUS"
    exit
fi
work=$IN_NAMESPACE
mkdir -p "$work"/{etc,home,bin,tree}
cp -a /etc/. "$work/etc/"
mount --bind "$work/etc" /etc
mount --bind "$work/home" /home
for program in useradd userdel usermod groupadd groupdel groupmod gpasswd chage chsh chfn; do
    for folder in /usr/sbin /usr/bin; do
        [ ! -e "$folder/$program" ] || mount --bind /dev/null "$folder/$program"
    done
done
for program in adduser addgroup deluser delgroup chpasswd; do
    cp "$work/busybox-$VERSION/busybox" "$work/bin/$program"
    for folder in /usr/sbin /usr/bin; do
        [ ! -e "$folder/$program" ] || mount --bind "$work/bin/$program" "$(readlink -f "$folder/$program")"
    done
done
# Debian's addgroup is a link to its adduser: the programs of this folder come first.
export PATH=$work/bin:$PATH
cat >"$work/tree/made.sls" <<'SLS'
bbgroup: {group.present: [{gid: 7711}]}
bbextra: {group.present: [{system: True}]}
bbjoe:
  user.present:
    - uid: 7711
    - gid: 7711
    - shell: /bin/sh
    - fullname: Joe L
    - password: $6$abc$def
    - groups: [bbextra]
bbsystem:
  user.present: [{system: True}, {createhome: False}, {shell: /bin/false}]
SLS
sed 's/Joe L/Joe Other/; s/abc/xyz/; s#shell: /bin/sh#shell: /bin/bash#; s/bbextra\]/bbgroup]/' "$work/tree/made.sls" >"$work/tree/changed.sls"
cat >"$work/tree/gone.sls" <<'SLS'
bbjoe: {user.absent: [{purge: True}]}
bbsystem: {user.absent: []}
bbextra: {group.absent: []}
bbgroup: {group.absent: []}
SLS
for sls in made changed gone; do
    for run in first second; do
        said=$("$CORPUS" --local --file-root "$work/tree" state.apply "$sls") || { echo "$said"; exit 1; }
        if [ $run = second ] && grep -q 'changed=' <<<"$said"; then
            echo "$said"
            echo "$sls: the second run changes something"
            exit 1
        fi
    done
    case $sls in
    made) grep -q '^bbjoe:x:7711:7711:Joe L[^:]*:/home/bbjoe:/bin/sh$' /etc/passwd && grep -q '^bbextra:.*:bbjoe$' /etc/group ;;
    changed) grep -q '^bbjoe:x:7711:7711:Joe Other[^:]*:/home/bbjoe:/bin/bash$' /etc/passwd && grep -q '^bbjoe:$6$xyz$def:' /etc/shadow ;;
    gone) ! grep -q '^bb' /etc/passwd /etc/group && [ ! -e /home/bbjoe ] ;;
    esac || { grep -h '^bb' /etc/passwd /etc/group || true; echo "$sls: not as declared"; exit 1; }
    echo "$sls: ok"
done
