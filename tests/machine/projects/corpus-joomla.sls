# check: echo '<?php echo "joomla would be ", "here";' >/srv/projects/joomla/data/www/index.php && curl -fsS http://127.0.0.1/index.php | grep 'joomla would be here'
# always: joomla-restricted-perms joomla-dirs joomla-l-dirswww nginx-service php-fpm-service
# Its directories have one mode in the recipe and another in fixperms; its services are told to reload each time. What is
# served is brought by people: the recipes prepare data/www.
