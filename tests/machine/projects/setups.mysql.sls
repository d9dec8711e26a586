# check: mysql -N -u db1 -psecret db1 -e "create table if not exists t (n int); select 'row of db1'" | grep 'row of db1'
# always: setupsmysql-restricted-perms
# Its script has one mode in the recipe and another in fixperms.
