# php-fpm behind Apache.
include:
  - makina-states.services.http.apache
  - makina-states.services.php.phpfpm
