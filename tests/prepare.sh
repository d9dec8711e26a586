#!/usr/bin/env bash
# Installs what the tests need, on Debian and as root; elsewhere it names what is missing.
set -euo pipefail
need=()
command -v cc >/dev/null || need+=(build-essential)
[ -x /usr/sbin/sshd ] || need+=(openssh-server)
command -v ssh-keygen >/dev/null || need+=(openssh-client)
command -v ip >/dev/null || need+=(iproute2)
command -v sudo >/dev/null || need+=(sudo)
command -v busybox >/dev/null || need+=(busybox-static)
command -v crontab >/dev/null || need+=(cron)
command -v git >/dev/null || need+=(git)
command -v pgrep >/dev/null || need+=(procps)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || need+=(postgresql)
[ -x /usr/sbin/mariadbd ] || [ -x /usr/sbin/mysqld ] || need+=(mariadb-server)
command -v gpg >/dev/null || need+=(gpg gpg-agent)
[ -x /usr/sbin/slapd ] || need+=(slapd)
command -v lxc-start >/dev/null || need+=(lxc)
command -v rsync >/dev/null || need+=(rsync)
command -v mkfs.btrfs >/dev/null || need+=(btrfs-progs)
command -v nft >/dev/null || need+=(nftables)
command -v openssl >/dev/null || need+=(openssl)
command -v age >/dev/null || need+=(age)
[ -x /usr/sbin/named ] || need+=(bind9)
command -v nsupdate >/dev/null || need+=(bind9-dnsutils)
[ -x /usr/sbin/pdns_server ] || need+=(pdns-server)
[ -e /usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql ] || need+=(pdns-backend-sqlite3)
[ -x /usr/sbin/haproxy ] || need+=(haproxy)
command -v curl >/dev/null || need+=(curl)
command -v sqlite3 >/dev/null || need+=(sqlite3)
command -v redis-server >/dev/null || need+=(redis-server)
# Docker's tests run where there is a daemon, and pull from a registry then.
! command -v dockerd >/dev/null || command -v docker-registry >/dev/null || need+=(docker-registry)
[ ${#need[@]} = 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "prepare: installing ${need[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null
else
    echo "prepare: please install: ${need[*]}" >&2
    exit 1
fi
