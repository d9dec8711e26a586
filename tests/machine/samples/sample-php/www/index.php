<?php echo "php as " . get_current_user() . " in " . __DIR__;
