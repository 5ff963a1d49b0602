WITH hires_by_department AS (
    SELECT department_id, count(*) AS hired
      FROM hired_employees
     WHERE extract(year FROM datetime AT TIME ZONE 'UTC') = 2021
     GROUP BY department_id
)
SELECT id, department, hired
  FROM hires_by_department
  JOIN departments ON departments.id = department_id
 WHERE hired > (SELECT avg(hired) FROM hires_by_department)
 ORDER BY hired DESC, id
