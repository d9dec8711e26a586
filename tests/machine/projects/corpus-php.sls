# check: curl -fsS http://127.0.0.1/ | grep 'up & running'
# always: php-restricted-perms php-dirs php-bindmounted-ftp php-l-dirswww nginx-service php-fpm-service
# Its directories have one mode in the recipe and another in fixperms; its services are told to reload each time.
