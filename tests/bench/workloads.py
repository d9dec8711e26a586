"""Writes the workloads: one description, printed in each peer's own language."""
import os

TEMPLATE = "# item {{ n }}\nname = {{ name }}\n{% for k in range(3) %}key{{ k }} = {{ n * (k + 1) }}\n{% endfor %}"
PYINFRA_TEMPLATE = TEMPLATE.replace("{{ name }}", "{{ item }}")


def put(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as out:
        out.write(text)


def config(work, net):
    """Configuration and pillar, as Salt and corpus both read them."""
    for name in ("master", "minion"):
        put(f"{work}/etc/{name}", (
            f"root_dir: {work}/saltroot\nid: local\nuser: root\nfile_client: local\nlog_level_logfile: quiet\n"
            f"file_roots: {{base: [{work}/salt]}}\npillar_roots: {{base: [{work}/pillar]}}\n"))
    put(f"{work}/salt/top.sls", "base:\n  '*':\n    - w3\n")
    put(f"{work}/pillar/top.sls", "base:\n  '*':\n    - data\n")
    put(f"{work}/pillar/data.sls", "app:\n  name: corpus\n  port: 8080\n  users:\n" + "".join(
        f"    - {{name: u{i}, uid: {3000 + i}}}\n" for i in range(20)))
    put(f"{work}/ansible/ansible.cfg", "[defaults]\nforks = 10\ninterpreter_python = /usr/bin/python3\n"
        "retry_files_enabled = False\n\n[ssh_connection]\npipelining = True\n"
        f"ssh_args = -F {work}/ssh_config -o ControlMaster=auto -o ControlPersist=60s\n")


def w1(work, dest, size):
    """SIZE small templates, each requiring the one before."""
    put(f"{work}/salt/w1/t.j2", TEMPLATE)
    put(f"{work}/pyinfra/t.j2", PYINFRA_TEMPLATE)
    put(f"{work}/salt/w1_{size}.sls", (
        f"w1_dir:\n  file.directory:\n    - name: {dest}\n    - makedirs: True\n") + "".join(
        f"w1_{i}:\n  file.managed:\n    - name: {dest}/f{i}.conf\n    - source: salt://w1/t.j2\n    - template: jinja\n"
        f"    - context: {{n: {i}, name: item{i}}}\n    - require:\n      - file: {f'w1_{i - 1}' if i else 'w1_dir'}\n"
        for i in range(size)))


def w2(work, total):
    """TOTAL low chunks out of includes, loops and an imported macro."""
    put(f"{work}/salt/w2/macros.jinja", """\
{% macro conf(id, dir, port, req) %}
{{ id }}:
  file.managed:
    - name: {{ dir }}/{{ id }}.conf
    - mode: '0644'
    - contents: |
        [{{ id }}]
        port = {{ port }}
        owner = {{ salt['pillar.get']('app:name', 'none') }}
    {% if req %}- require:
      - file: {{ req }}{% endif %}
{% endmacro %}
""")
    parts, each = 20, total // 20
    put(f"{work}/salt/w2_{total}/init.sls", "include:\n" + "".join(f"  - w2_{total}.p{p}\n" for p in range(parts)))
    for p in range(parts):
        put(f"{work}/salt/w2_{total}/p{p}.sls", (
            "{% from 'w2/macros.jinja' import conf with context %}\n"
            + (f"include:\n  - w2_{total}.p{p - 1}\n" if p else "")
            + f"{{% set dir = '/srv/app/p{p}' %}}\n{{% for i in range({each}) %}}\n"
            "{% set user = pillar['app']['users'][i % 20] %}\n"
            f"{{{{ conf('p{p}_' ~ user.name ~ '_' ~ i, dir, pillar['app']['port'] + i, "
            f"('p{p}_u' ~ ((i - 1) % 20) ~ '_' ~ (i - 1)) if i else '') }}}}\n{{% endfor %}}\n"))


def w3(work):
    """50 mixed states per host: 6 directories, 8 templates, 6 files, 5 links, 6 line edits, 3 groups, 3 users,
    8 guarded commands, 5 cron entries; and the same as one idempotent shell script."""
    put(f"{work}/salt/w3/t.j2", TEMPLATE)
    put(f"{work}/ansible/t.j2", TEMPLATE)
    s, y, q, sh = [], [], [], ["set -e\n"]

    def add(state, play, infra, shell):
        s.append(state), y.append(play), q.append(infra), sh.append(shell + "\n")

    for i in range(6):
        add(f"dir{i}:\n  file.directory:\n    - name: /srv/app/d{i}\n    - makedirs: True\n    - mode: '0755'\n",
            f"  - ansible.builtin.file: {{path: /srv/app/d{i}, state: directory, mode: '0755'}}\n",
            f"files.directory(path='/srv/app/d{i}', mode='755')\n",
            f"[ -d /srv/app/d{i} ] || mkdir -p -m 755 /srv/app/d{i}")
    for i in range(8):
        text = f"# item {i}\\nname = item{i}\\n" + "".join(f"key{k} = {i * (k + 1)}\\n" for k in range(3))
        add(f"tpl{i}:\n  file.managed:\n    - name: /srv/app/d{i % 6}/t{i}.conf\n    - source: salt://w3/t.j2\n    - template: jinja\n"
            f"    - mode: '0644'\n    - context: {{n: {i}, name: item{i}}}\n    - require:\n      - file: dir{i % 6}\n",
            f"  - ansible.builtin.template: {{src: t.j2, dest: /srv/app/d{i % 6}/t{i}.conf, mode: '0644'}}\n"
            f"    vars: {{n: {i}, name: item{i}}}\n",
            f"files.template(src='t.j2', dest='/srv/app/d{i % 6}/t{i}.conf', mode='644', n={i}, item='item{i}')\n",
            f"w=$(printf '{text}x'); w=${{w%x}}; f=/srv/app/d{i % 6}/t{i}.conf; h=$(cat $f 2>/dev/null || :; echo x); "
            f"[ \"${{h%x}}\" = \"$w\" ] || {{ printf %s \"$w\" >$f; chmod 644 $f; }}")
    for i in range(6):
        add(f"raw{i}:\n  file.managed:\n    - name: /srv/app/d{i % 6}/r{i}.txt\n    - contents: 'raw file {i}'\n    - mode: '0600'\n"
            f"    - require:\n      - file: dir{i % 6}\n",
            f"  - ansible.builtin.copy: {{content: \"raw file {i}\\n\", dest: /srv/app/d{i % 6}/r{i}.txt, mode: '0600'}}\n",
            f"files.put(src=StringIO('raw file {i}\\n'), dest='/srv/app/d{i % 6}/r{i}.txt', mode='600')\n",
            f"f=/srv/app/d{i % 6}/r{i}.txt; [ \"$(cat $f 2>/dev/null)\" = 'raw file {i}' ] || {{ echo 'raw file {i}' >$f; chmod 600 $f; }}")
    for i in range(5):
        add(f"link{i}:\n  file.symlink:\n    - name: /srv/app/l{i}\n    - target: /srv/app/d{i % 6}/t{i}.conf\n    - require:\n      - file: tpl{i}\n",
            f"  - ansible.builtin.file: {{path: /srv/app/l{i}, src: /srv/app/d{i % 6}/t{i}.conf, state: link}}\n",
            f"files.link(path='/srv/app/l{i}', target='/srv/app/d{i % 6}/t{i}.conf')\n",
            f"[ \"$(readlink /srv/app/l{i})\" = /srv/app/d{i % 6}/t{i}.conf ] || ln -sfn /srv/app/d{i % 6}/t{i}.conf /srv/app/l{i}")
    for i in range(6):
        add(f"line{i}:\n  file.replace:\n    - name: /etc/login.defs\n    - pattern: '^BENCH_{i} .*$'\n    - repl: 'BENCH_{i} value{i}'\n"
            "    - append_if_not_found: True\n    - backup: False\n",
            f"  - ansible.builtin.lineinfile: {{path: /etc/login.defs, regexp: '^BENCH_{i} ', line: 'BENCH_{i} value{i}'}}\n",
            f"files.line(path='/etc/login.defs', line='^BENCH_{i} .*', replace='BENCH_{i} value{i}')\n",
            f"grep -qx 'BENCH_{i} value{i}' /etc/login.defs || {{ sed -i '/^BENCH_{i} /d' /etc/login.defs; echo 'BENCH_{i} value{i}' >>/etc/login.defs; }}")
    for i in range(3):
        add(f"group{i}:\n  group.present:\n    - name: bg{i}\n    - gid: {4000 + i}\n",
            f"  - ansible.builtin.group: {{name: bg{i}, gid: {4000 + i}}}\n",
            f"server.group(group='bg{i}', gid={4000 + i})\n",
            f"grep -q '^bg{i}:x:{4000 + i}:' /etc/group || groupadd -g {4000 + i} bg{i} 2>/dev/null")
    for i in range(3):
        add(f"user{i}:\n  user.present:\n    - name: bu{i}\n    - uid: {4000 + i}\n    - gid: {4000 + i}\n    - home: /home/bu{i}\n"
            f"    - shell: /bin/sh\n    - require:\n      - group: group{i}\n",
            f"  - ansible.builtin.user: {{name: bu{i}, uid: {4000 + i}, group: bg{i}, home: /home/bu{i}, shell: /bin/sh}}\n",
            f"server.user(user='bu{i}', uid={4000 + i}, group='bg{i}', home='/home/bu{i}', shell='/bin/sh')\n",
            f"grep -q '^bu{i}:x:{4000 + i}:{4000 + i}:' /etc/passwd || useradd -m -u {4000 + i} -g {4000 + i} -d /home/bu{i} -s /bin/sh bu{i} 2>/dev/null")
    for i in range(8):
        add(f"cmd{i}:\n  cmd.run:\n    - name: echo done > /srv/app/cmd{i}\n    - unless: test -f /srv/app/cmd{i}\n    - require:\n      - file: dir0\n",
            f"  - ansible.builtin.shell: {{cmd: echo done > /srv/app/cmd{i}, creates: /srv/app/cmd{i}}}\n",
            f"if not host.get_fact(File, path='/srv/app/cmd{i}'):\n    server.shell(commands=['echo done > /srv/app/cmd{i}'])\n",
            f"test -f /srv/app/cmd{i} || echo done > /srv/app/cmd{i}")
    for i in range(5):
        add(f"cron{i}:\n  cron.present:\n    - name: /bin/true {i}\n    - identifier: bench{i}\n    - user: root\n    - minute: '{i}'\n",
            f"  - ansible.builtin.cron: {{name: bench{i}, job: /bin/true {i}, user: root, minute: '{i}'}}\n",
            f"crontab.crontab(command='/bin/true {i}', cron_name='bench{i}', minute='{i}')\n",
            f"crontab -l 2>/dev/null | grep -qxF '{i} * * * * /bin/true {i}' || "
            f"{{ crontab -l 2>/dev/null; echo '{i} * * * * /bin/true {i}'; }} | crontab -")
    assert len(s) == 50
    put(f"{work}/salt/w3/init.sls", "".join(s))
    put(f"{work}/ansible/w3.yml", "- hosts: lab\n  gather_facts: false\n  tasks:\n" + "".join(y))
    put(f"{work}/pyinfra/w3.py", "from io import StringIO\nfrom pyinfra import host\nfrom pyinfra.facts.files import File\n"
        "from pyinfra.operations import crontab, files, server\n" + "".join(q))
    put(f"{work}/w3.sh", "".join(sh))


def w5(work):
    """1,000 small files in 50 directories, and one of 100 MB."""
    import random
    rng = random.Random(5)
    for i in range(1000):
        put(f"{work}/salt/w5/small/d{i % 50}/f{i}", "%x\n" % rng.getrandbits(4 * 8000))
    big = f"{work}/salt/w5/big.bin"
    if not os.path.exists(big):
        with open(big, "wb") as out:
            for _ in range(100):
                out.write(rng.randbytes(1 << 20))
    put(f"{work}/salt/w5_small.sls", "/srv/small:\n  file.recurse:\n    - source: salt://w5/small\n")
    put(f"{work}/salt/w5_big.sls", "/srv/big.bin:\n  file.managed:\n    - source: salt://w5/big.bin\n")
