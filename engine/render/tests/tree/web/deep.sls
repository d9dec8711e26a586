x: "{{ sls }}|{{ slspath }}|{{ slsdotpath }}|{{ slscolonpath }}|{{ sls_path }}|{{ tplfile }}|{{ tpldir }}|{{ tpldot }}|{{ tplroot }}"
