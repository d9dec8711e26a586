# check: PGPASSWORD=secret psql -h localhost -U db1 -tA db1 -c "select extname from pg_extension order by 1" | grep hstore
