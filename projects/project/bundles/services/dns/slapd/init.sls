# OpenLDAP's server with one database, as the distribution has it. What the machine's settings say of the root of the
# tree holds when the package comes; who administers it, and by which password, at each deployment.
{% set slapd = salt['mc_slapd.settings']() %}
include:
  - makina-states.services.dns.slapd.hooks

slapd-answers:
  debconf.set:
    - name: slapd
    - data:
        slapd/domain: {type: string, value: {{ slapd.dn | replace('dc=', '') | replace(',', '.') | json }}}
        shared/organization: {type: string, value: {{ slapd.dn | json }}}
        slapd/password1: {type: password, value: {{ slapd.root_pw | json }}}
        slapd/password2: {type: password, value: {{ slapd.root_pw | json }}}
    # The package forgets its passwords once it has used them.
    - unless: test -e /etc/ldap/slapd.d
    - watch:
      - mc_proxy: slapd-pre-install-hook

slapd-package:
  pkg.installed:
    - pkgs:
      - slapd
      - ldap-utils
    - require:
      - debconf: slapd-answers
    - watch_in:
      - mc_proxy: slapd-post-install-hook

slapd-service:
  service.running:
    - name: slapd
    - enable: true
    - require:
      - mc_proxy: slapd-post-install-hook
    - watch:
      - mc_proxy: slapd-post-conf-hook
    - watch_in:
      - mc_proxy: slapd-post-restart-hook

slapd-root-password:
  file.managed:
    - name: /etc/ldap/root.pw
    - contents: {{ slapd.root_pw | json }}
    - contents_newline: false
    - mode: '0600'
    - show_changes: false
    - require:
      - pkg: slapd-package

slapd-root:
  cmd.run:
    - name: |
        set -e
        password=$(slappasswd -T /etc/ldap/root.pw)
        ldapmodify -Q -Y EXTERNAL -H ldapi:/// <<L
        dn: olcDatabase={1}mdb,cn=config
        changetype: modify
        replace: olcRootDN
        olcRootDN: {{ slapd.root_dn }}
        -
        replace: olcRootPW
        olcRootPW: $password
        L
    - unless: ldapwhoami -x -H ldapi:/// -D {{ slapd.root_dn | json }} -y /etc/ldap/root.pw
    - require:
      - service: slapd-service
      - file: slapd-root-password
    - require_in:
      - mc_proxy: slapd-post-restart-hook
