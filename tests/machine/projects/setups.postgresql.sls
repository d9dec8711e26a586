# check: PGPASSWORD=secret psql -h localhost -U db1 -tA db1 -c "select extname from pg_extension order by 1" | grep hstore
# always: setupspostgresql-restricted-perms
# Its script has one mode in the recipe and another in fixperms.
