# A map of one tile, where tilestream looks for maps.
{% set tiles = cfg.data.tiles %}
sqlite3:
  pkg.installed

{{ tiles }}:
  file.directory:
    - makedirs: true

{{ tiles }}/world.mbtiles:
  cmd.run:
    - name: >-
        sqlite3 {{ tiles }}/world.mbtiles "create table tiles (zoom_level integer, tile_column integer,
        tile_row integer, tile_data blob); insert into tiles values (0, 0, 0, 'the whole world')"
    - creates: {{ tiles }}/world.mbtiles
    - require:
      - pkg: sqlite3
      - file: {{ tiles }}
